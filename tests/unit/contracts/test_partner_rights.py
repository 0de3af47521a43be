"""The table of rights: what one partner may, and that no two partners share any of it."""

from hypothesis import given
from hypothesis import strategies as st

from contracts.topics import CORE_TOPICS, Acl, AclOperation, AclResource, partner_acls

organisations = st.from_regex(r"[a-z0-9][a-z0-9_]{1,20}", fullmatch=True)


def covers(right: Acl, resource: AclResource, name: str) -> bool:
    matches = name.startswith(right.name) if right.prefixed else name == right.name
    return right.resource is resource and matches


def test_a_partner_reads_offers_and_writes_answers() -> None:
    allowed = {
        (str(right.resource), right.name, str(right.operation)) for right in partner_acls("sbb")
    }
    assert allowed == {
        ("topic", "meldpunt.partner.sbb.out", "read"),
        ("topic", "meldpunt.partner.sbb.out", "describe"),
        ("topic", "meldpunt.partner.sbb.in", "write"),
        ("topic", "meldpunt.partner.sbb.in", "describe"),
        ("group", "partner-sbb", "read"),
        ("group", "partner-sbb.", "read"),
    }
    assert {right.principal for right in partner_acls("sbb")} == {"User:partner-sbb"}


@given(organisations, organisations, st.sampled_from(["", "x", "_x"]))
def test_no_right_of_one_partner_covers_a_thing_of_another(one: str, two: str, tail: str) -> None:
    for other in {two, one + tail} - {one}:
        for right in partner_acls(one):
            for theirs in partner_acls(other):
                assert not covers(right, theirs.resource, theirs.name)
                assert not covers(right, theirs.resource, theirs.name + "more")


@given(organisations)
def test_no_right_covers_a_core_topic_or_a_service_s_group(organisation: str) -> None:
    for right in partner_acls(organisation):
        assert not any(covers(right, AclResource.TOPIC, spec.name) for spec in CORE_TOPICS)
        assert not covers(right, AclResource.GROUP, "meldpunt-referral")
        assert right.operation in AclOperation
