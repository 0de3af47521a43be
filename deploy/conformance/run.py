"""One conformance run: which checks, in which order, and what becomes of their rows."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence

from deploy.client import ServiceError
from deploy.conformance import checks, steady
from deploy.conformance.cases import TestCase, cases
from deploy.conformance.chain import ChainStuck
from deploy.conformance.checks import ANY_ANSWER, DECIDING, Check, answers, retries, too_late
from deploy.conformance.notebook import Fault, Provoked
from deploy.conformance.play import Play
from deploy.conformance.report import Finding, Result, Row, failed, row_of, skipped

# These have a case each and only look at that one, so they run at the same time.
SIDE_BY_SIDE: dict[str, Check] = {
    "acute": answers("acute"),
    "signal": checks.takes_signal,
    "decline-expected": checks.declines,
    "duplicate-delivery": checks.duplicates,
    "withdrawn-before-answer": too_late("withdrawn-before-answer", ANY_ANSWER),
    "late-answer": too_late("late-answer", DECIDING),
    "ack-lost": retries("ack-lost", Provoked(Fault.LOST)),
    "busy-503": retries("busy-503", Provoked(Fault.BUSY, 1)),
    "too-many-429": retries("too-many-429", Provoked(Fault.TOO_MANY, 1)),
    "too-early-425": retries("too-early-425", Provoked(Fault.TOO_EARLY, 1)),
    "slow-answer": retries("slow-answer", Provoked(Fault.SLOW, checks.SLOW_SECONDS)),
    "back-off": checks.backs_off,
    "wrong-signature": checks.refuses_forged,
    "stale-timestamp": checks.refuses_stale,
}
# These touch all that the system does; what can stop it comes after what cannot.
ONE_BY_ONE: dict[str, Check] = {
    "unknown-event-type": steady.survives_unknown_type,
    "unknown-field": steady.survives_unknown_field,
    "reminder": steady.survives_reminder,
    "outage": steady.catches_up,
    "restart": steady.survives_restart,
    "feed-order": steady.keeps_order,
    "acknowledged": steady.acknowledges,
    "content": steady.fetches_content,
    "log": steady.logs_no_content,
}
# How many cases a check plays, where it is more than one.
PLAYS = {"unknown-event-type": 2, "unknown-field": 2, "reminder": 2, "outage": 4, "restart": 2}
# These look at what was seen before, and say something also of a system that has stopped.
LOOKING_BACK = frozenset({"feed-order", "acknowledged", "content", "log"})
ON_TOPIC: dict[str, Check] = {"late-answer": checks.too_late_on_topic}

Say = Callable[[str], None]
# A system that backs off well may need half a minute to notice that the sandbox is there.
SHOWS_UP_SECONDS = 45.0
SAY_SECONDS = 10.0


def chosen(only: Sequence[str]) -> list[TestCase]:
    """The cases to play, in the order of the file; `ordinary` always goes first."""
    return [case for case in cases().cases if not only or case.name in only]


async def run(play: Play, only: Sequence[str], say: Say) -> list[Row]:
    """Play the cases; gives a row for each, in the order of the file."""
    wanted = chosen(only)
    fitting = [case for case in wanted if play.channel in case.channels]
    rows = {
        case.name: _row(case, skipped(f"Not over this channel ({play.channel})"))
        for case in wanted
        if case not in fitting
    }
    problem = await _not_there(play, say)
    if problem is not None:
        rows |= {case.name: _row(case, skipped("Your system was not there")) for case in fitting}
        rows |= {case.name: _row(case, problem) for case in fitting[:1]}
        return [rows[case.name] for case in wanted]
    async for case, finding in _findings(play, fitting):
        rows[case.name] = _row(case, finding)
        say(f"{finding.result}  {case.name}: {finding.did}")
    return [rows[case.name] for case in wanted]


async def _not_there(play: Play, say: Say) -> Finding | None:
    """Why the system cannot be played against at all; None when it is there."""
    match play.channel:
        case "inbox":
            if not await _asks(play, say):
                return Finding(
                    Result.FAIL, "never called the sandbox", repair="Start it with sandbox.env."
                )
        case "webhook":
            result = await play.chain.test_endpoint()
            if not result["delivered"]:
                problem = result["problem"]
                did = f"got no test message ({problem['problem']})"
                return Finding(Result.FAIL, did, problem["whoMustAct"], problem["remedy"])
    return None


async def _asks(play: Play, say: Say) -> bool:
    limit = time.monotonic() + max(SHOWS_UP_SECONDS, play.timeout_seconds)
    while not await play.until(lambda: bool(play.notebook.calls), SAY_SECONDS):
        if time.monotonic() > limit:
            return False
        say("Waiting until the system asks for its events")
    return True


async def _findings(
    play: Play, fitting: Sequence[TestCase]
) -> AsyncIterator[tuple[TestCase, Finding]]:
    named = {case.name: case for case in fitting}
    for name in named:
        if cases().situation_of(name) is not None and not (
            name == "restart" and play.restart_command is None
        ):
            play.prepare(name, PLAYS.get(name, 1))
    if "ordinary" in named:
        yield named["ordinary"], await _guarded(play, "ordinary", answers("ordinary"))
    side_by_side = [name for name in SIDE_BY_SIDE if name in named]
    found = await asyncio.gather(
        *(_guarded(play, name, _check(play, name)) for name in side_by_side)
    )
    for name, finding in zip(side_by_side, found, strict=True):
        yield named[name], finding
    for name, check in ONE_BY_ONE.items():
        if name in named:
            yield named[name], await _guarded(play, name, check)


def _check(play: Play, name: str) -> Check:
    on_topic = ON_TOPIC.get(name) if play.channel == "kafka" else None
    return on_topic or SIDE_BY_SIDE[name]


async def _guarded(play: Play, name: str, check: Check) -> Finding:
    if play.silent_since is not None and name not in LOOKING_BACK:
        return skipped(f"Your system has said nothing since `{play.silent_since}`")
    try:
        return await check(play)
    except (ChainStuck, ServiceError) as error:
        return failed(str(error), who="meldpunt")


def _row(case: TestCase, finding: Finding) -> Row:
    return row_of(case.name, case.provoked, case.repair, finding)
