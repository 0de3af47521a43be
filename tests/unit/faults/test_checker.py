"""The checker of the fault run turns red on each kind of fault, and only then."""

from dataclasses import replace

import pytest

from deploy.faults.checker import CaseView, Evidence, PartnerLine, Request, judge
from deploy.faults.schedule import KAFKA, POSTGRES, SERVICES, duration_seconds, schedule


def held(case_id: str, holder: str) -> CaseView:
    verdict = "at-desk" if holder == "vangnet" else "picked-up"
    return CaseView(case_id, holder, "handle", holder, verdict, (("intake", 1), ("routing", 1)))


def offer(organisation: str, case_id: str, referral: str) -> PartnerLine:
    return PartnerLine(organisation, case_id, referral, "referral-offer")


def accept(organisation: str, case_id: str, referral: str) -> PartnerLine:
    return PartnerLine(organisation, case_id, referral, "referral-offer", "accepted")


GOOD = Evidence(
    requests=[Request("k1", ("c1",), 1), Request("k2", ("c2",), 3)],
    partner_lines=[
        offer("lkc", "c1", "r1"),
        offer("lkc", "c1", "r1"),
        accept("lkc", "c1", "r1"),
    ],
    cases={"c1": held("c1", "lkc"), "c2": held("c2", "vangnet")},
    known_case_ids=["c1", "c2"],
    completeness={"complete": True, "received": 2},
    unpicked=0,
    parked=0,
    drained_seconds=4.0,
)


def test_a_good_run_is_good() -> None:
    verdict = judge(GOOD)
    assert verdict.good
    assert (verdict.acknowledged, verdict.recovered, verdict.duplicate_deliveries) == (2, 1, 1)


@pytest.mark.parametrize(
    ("change", "category"),
    [
        ({"cases": {"c1": held("c1", "lkc")}}, "lost"),
        (
            {"cases": GOOD.cases | {"c2": replace(held("c2", "vangnet"), referral_next=None)}},
            "lost",
        ),
        (
            {"partner_lines": [*GOOD.partner_lines, accept("gcbo", "c1", "r2")]},
            "duplicated effects",
        ),
        ({"partner_lines": [*GOOD.partner_lines, offer("lkc", "c1", "r9")]}, "duplicated effects"),
        ({"requests": [Request("k1", ("c1", "c2"), 2)]}, "duplicated effects"),
        ({"requests": [*GOOD.requests, Request("k3", ("c1",), 1)]}, "duplicated effects"),
        (
            {
                "cases": GOOD.cases
                | {"c1": replace(held("c1", "lkc"), trail=(("intake", 1), ("intake", 1)))}
            },
            "duplicated effects",
        ),
        ({"known_case_ids": ["c1", "c2", "c3"]}, "unexpected"),
        (
            {"cases": GOOD.cases | {"c1": replace(held("c1", "lkc"), audit_holder="vangnet")}},
            "wrong holder",
        ),
        ({"partner_lines": []}, "wrong holder"),
        (
            {"cases": GOOD.cases | {"c2": replace(held("c2", "vangnet"), audit_verdict="overdue")}},
            "audit incomplete",
        ),
        ({"completeness": {"complete": False}}, "audit incomplete"),
        ({"completeness": {"complete": True, "received": 1}}, "audit incomplete"),
        ({"unpicked": 1}, "audit incomplete"),
        ({"parked": 1}, "audit incomplete"),
    ],
)
def test_each_fault_turns_it_red(change: dict[str, object], category: str) -> None:
    verdict = judge(replace(GOOD, **change))
    assert not verdict.good
    assert verdict.examples[category]


def test_a_run_that_does_not_drain_is_not_good() -> None:
    assert not judge(replace(GOOD, drained_seconds=None)).good


def test_a_refused_acceptance_does_not_count() -> None:
    lines = [
        *GOOD.partner_lines,
        accept("gcbo", "c1", "r2"),
        PartnerLine("gcbo", "c1", "r2", "answer-refused"),
    ]
    assert judge(replace(GOOD, partner_lines=lines)).good


def test_a_request_without_an_answer_may_have_become_one_case() -> None:
    requests = [*GOOD.requests, Request("k3", (), 4, given_up=True)]
    once = replace(GOOD, requests=requests, known_case_ids=["c1", "c2", "c3"])
    assert judge(once).good
    assert judge(once).indeterminate == 1
    assert not judge(replace(once, known_case_ids=["c1", "c2", "c3", "c4"])).good


def test_the_schedule_is_drawn_from_the_seed() -> None:
    faults = schedule(7)
    assert faults == schedule(7)
    assert faults != schedule(8)
    targets = [fault.target for fault in faults]
    assert all(targets.count(service) >= 3 for service in SERVICES)
    assert targets.count(KAFKA) >= 1
    assert targets.count(POSTGRES) >= 1
    assert duration_seconds(faults) > faults[-1].at_seconds
