import re
from pathlib import Path

import pytest
import yaml

from contracts.referral import Status
from services.referral.domain import HOLDING, OPEN, TRANSITIONS, IllegalTransition, diagram
from services.referral.moves import moved
from services.referral.partners import PartnersInvalid, load_partners
from services.referral.settings import ReferralSettings
from tests.unit.referral.builders import NOW, in_status

ROOT = Path(__file__).parents[3]


def test_the_committed_diagram_is_that_of_the_table():
    text = (ROOT / "docs" / "referral-states.md").read_text(encoding="utf-8")
    assert f"```mermaid\n{diagram()}\n```" in text


def test_the_migration_has_the_same_transitions():
    sql = (ROOT / "services/referral/migrations/0001_init.sql").read_text(encoding="utf-8")
    table = sql.split("FROM (VALUES")[1].split(") AS step")[0]
    found = {
        Status(source): {Status(name) for name in targets.split()}
        for source, targets in re.findall(r"\('([a-z-]+)',\s+'([a-z -]+)'\)", table)
    }
    assert found == {source: targets for source, targets in TRANSITIONS.items() if targets}


def test_a_status_holds_waits_or_has_ended():
    ended = {status for status in Status if not TRANSITIONS[status]}
    assert not ended & (OPEN | HOLDING)
    assert ended | OPEN | HOLDING == set(Status)


@pytest.mark.parametrize("source", list(Status))
@pytest.mark.parametrize("target", list(Status))
def test_code_refuses_what_is_not_in_the_table(source, target):
    _, referral = in_status(source)
    if target in TRANSITIONS[source]:
        assert moved(referral, target, NOW).status is target
    else:
        with pytest.raises(IllegalTransition):
            moved(referral, target, NOW)


def test_every_organisation_of_the_register_that_can_be_referred_to_is_a_partner():
    register = yaml.safe_load(
        (ROOT / "services/routing/register/register.yaml").read_text(encoding="utf-8")
    )
    wanted = {
        item["id"]
        for item in register["organisations"]
        if item.get("referral_mode") != "show_only" and item["id"] != "vangnet"
    }
    partners = load_partners(ReferralSettings.model_fields["partners_file"].default)
    assert {item.organisation for item in partners} == wanted
    assert len(partners) == len(wanted)


def test_a_wrong_partners_file_names_the_field(tmp_path):
    file = tmp_path / "partners.yaml"
    file.write_text("partners: [{organisation: lkc, name: LKC, channel: fax}]")
    with pytest.raises(PartnersInvalid, match=r"partners\.0\.channel"):
        load_partners(file)
    file.write_text("partners: [")
    with pytest.raises(PartnersInvalid, match="YAML"):
        load_partners(file)
