"""Users for a broker on Kubernetes: the same rights as the local stack sets."""

from pathlib import Path

import pytest
import yaml

from contracts.topics import CORE_TOPICS, partner_acls
from deploy.kafka_users import SERVICE_TOPICS, document, kafka_user, main, service_user

EXAMPLE = Path(__file__).parents[3] / "deploy" / "k8s" / "kafka-users.yaml"


def test_the_example_is_what_the_generator_prints() -> None:
    assert EXAMPLE.read_text().partition("\n")[2] == document([kafka_user("veilig_thuis")])


def test_a_user_has_the_rights_of_the_table() -> None:
    found = {
        (
            acl["resource"]["type"],
            acl["resource"]["name"],
            operation.lower(),
            acl["resource"]["patternType"] == "prefix",
        )
        for acl in kafka_user("sbb")["spec"]["authorization"]["acls"]
        for operation in acl["operations"]
    }
    assert found == {
        (str(right.resource), right.name, str(right.operation), right.prefixed)
        for right in partner_acls("sbb")
    }


@pytest.mark.parametrize("name", ["a__b", "a_", "_a", "A", "a.b", "a-b", "a" * 54])
def test_two_organisations_never_share_a_user(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([name]) == 1
    assert "cannot be a user's name" in capsys.readouterr().err


def test_every_core_topic_has_one_writer() -> None:
    writers = [topic for _, writes in SERVICE_TOPICS.values() for topic in writes]
    assert sorted(writers) == sorted(spec.name for spec in CORE_TOPICS)


def test_only_referral_reaches_the_topics_of_partners(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--services"]) == 0
    users = list(yaml.safe_load_all(capsys.readouterr().out))
    assert users == [service_user(name) for name in SERVICE_TOPICS]
    reaching = [user["metadata"]["name"] for user in users if "meldpunt.partner." in str(user)]
    assert reaching == ["meldpunt-referral"]
