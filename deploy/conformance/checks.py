"""Checks of how a partner's system answers, one function per test case of `cases.yaml`."""

import asyncio
import copy
import re
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from itertools import pairwise

from contracts.referral import DeclineReason
from deploy.conformance.lines import Item
from deploy.conformance.notebook import Fault, Provoked, Said
from deploy.conformance.play import GRACE_SECONDS, Play
from deploy.conformance.report import Finding, failed, passed, skipped

Check = Callable[[Play], Awaitable[Finding]]
CODED = frozenset(item.value for item in DeclineReason)
# Clocks and timers are not exact to the millisecond.
SLACK_SECONDS = 0.05
FIRST_PAUSE_SECONDS_MIN = 0.2
SLOW_SECONDS = 3.0
BACK_OFF_TRIES = 3
DECIDING = frozenset({"accepted", "rejected"})
ANY_ANSWER = DECIDING | {"received"}


def answers(name: str) -> Check:
    """The partner acknowledges and decides in time."""

    async def check(play: Play) -> Finding:
        played = await play.offered(name)
        said = await play.decided(played)
        if said is None:
            return _silent(play, played.case_id, name)
        first = play.notebook.of(played.case_id)[0]
        did = (
            f"{first.answer} after {first.at - played.at:.1f} s,"
            f" {said.answer} after {said.at - played.at:.1f} s"
        )
        in_time = await play.chain.in_time(played, play.timeout_seconds)
        return passed(did) if in_time else failed(f"{did}: too late")

    return check


async def takes_signal(play: Play) -> Finding:
    """A signal asks for its receipt and for nothing else."""
    name = "signal"
    case_id = await play.case(name)
    play.sandbox.change(case_id, {"signal": True})
    await play.chain.assign(case_id)
    if not await play.until(lambda: bool(play.notebook.of(case_id))):
        return _silent(play, case_id, name)
    await asyncio.sleep(GRACE_SECONDS)
    told = sorted({item.answer for item in play.notebook.of(case_id)})
    if told != ["received"]:
        return failed(f"said {', '.join(told)}")
    return passed("said received and nothing more")


async def declines(play: Play) -> Finding:
    """A decline has a coded reason; `other` goes over the API with a text."""
    name = "decline-expected"
    played = await play.offered(name)
    said = await play.decided(played)
    if said is None:
        return _silent(play, played.case_id, name)
    if said.answer == "accepted":
        return skipped("It accepted; let it decline subject `overig` to see this")
    if said.reason not in CODED:
        return failed(f"rejected with reason {said.reason or 'none'}")
    if said.reason == "other" and (said.over == "kafka" or not said.with_text):
        return failed("rejected with `other` without a text over the API")
    return passed(f"rejected with reason {said.reason}")


async def duplicates(play: Play) -> Finding:
    """The same event once more has no second effect."""
    name = "duplicate-delivery"
    played = await play.offered(name)
    if await play.decided(played) is None:
        return _silent(play, played.case_id, name)
    await asyncio.sleep(0.5)
    before = play.ids(played.case_id)
    count = len(play.notebook.of(played.case_id))
    assert play.line is not None
    status = await play.line.bring(await play.chain.offer(played.case_id))
    if status is not None and not 200 <= status < 300:
        return failed(refused_text(status))
    await asyncio.sleep(GRACE_SECONDS)
    new = play.ids(played.case_id) - before
    if new:
        return failed(f"answered again under {len(new)} new answerId(s)")
    again = len(play.notebook.of(played.case_id)) - count
    return passed("answered once more with the same ids" if again else "said nothing more")


def too_late(name: str, kinds: frozenset[str]) -> Check:
    """An answer that comes too late is refused, understood, and not repeated."""

    async def check(play: Play) -> Finding:
        case_id = await play.case(name)
        release = play.sandbox.hold(case_id, kinds)
        played = await play.chain.assign(case_id)
        held = await play.until(
            lambda: any(item.answer in kinds for item in play.notebook.of(case_id))
        )
        await play.chain.withdraw(played.referral_id)
        release.set()
        if not held:
            return _silent(play, case_id, name)
        if not await play.until(lambda: any(i.status == 409 for i in play.notebook.of(case_id)), 5):
            return failed("did not wait for the answer to its own call")
        await asyncio.sleep(GRACE_SECONDS)
        return _after_refusal(play.notebook.of(case_id))

    return check


async def too_late_on_topic(play: Play) -> Finding:
    """Over Kafka: the offer comes once more after it was withdrawn."""
    name = "late-answer"
    played = await play.offered(name)
    if await play.decided(played) is None:
        return _silent(play, played.case_id, name)
    await play.chain.withdraw(played.referral_id)
    offer = await play.chain.offer(played.case_id)
    before = play.ids(played.case_id)
    count = len(play.notebook.of(played.case_id))
    assert play.line is not None
    await play.line.bring(offer | {"id": str(uuid.uuid4())})
    await asyncio.sleep(GRACE_SECONDS)
    if play.ids(played.case_id) - before:
        return failed("answered a withdrawn referral under a new answerId")
    tries = len(play.notebook.of(played.case_id)) - count
    if tries > len(ANY_ANSWER):
        return failed(f"kept answering a withdrawn referral ({tries} times)")
    return passed("answered with the same ids and then let it rest" if tries else "let it rest")


def retries(name: str, provoked: Provoked) -> Check:
    """After a fault the same answer comes again, with the same id and not too soon."""

    async def check(play: Play) -> Finding:
        played = await play.offered(name, [provoked])
        case_id = played.case_id
        if not await play.until(lambda: bool(play.notebook.of(case_id))):
            return _silent(play, case_id, name)
        first = play.notebook.of(case_id)[0]
        await play.until(lambda: _done(play, case_id, first))
        tries = [i for i in play.notebook.of(case_id) if i.answer == first.answer]
        if len({item.answer_id for item in tries}) > 1:
            return failed("sent the same answer again under a new answerId")
        if tries[-1].status != 200:
            return failed(f"did not send the answer again within {play.timeout_seconds:g} s")
        if provoked.fault is Fault.SLOW:
            return passed(f"waited; {len(tries)} try(s) with one answerId")
        pause = tries[1].at - first.at
        asked = provoked.seconds or 0.0
        if pause < asked - SLACK_SECONDS:
            return failed(f"tried again after {pause:.1f} s, {asked:g} s were asked")
        return passed(f"sent the same answerId again after {pause:.1f} s")

    return check


async def backs_off(play: Play) -> Finding:
    """Without Retry-After it waits by itself, longer each time."""
    name = "back-off"
    played = await play.offered(name, [Provoked(Fault.BUSY)] * BACK_OFF_TRIES)
    case_id = played.case_id
    if not await play.until(lambda: bool(play.notebook.of(case_id))):
        return _silent(play, case_id, name)
    first = play.notebook.of(case_id)[0]
    await play.until(lambda: _done(play, case_id, first))
    tries = [i for i in play.notebook.of(case_id) if i.answer == first.answer]
    if len({item.answer_id for item in tries}) > 1:
        return failed("sent the same answer again under a new answerId")
    if tries[-1].status != 200:
        return failed(f"gave up after {len(tries)} tries")
    pauses = [later.at - earlier.at for earlier, later in pairwise(tries)]
    shown = ", ".join(f"{pause:.1f}" for pause in pauses)
    if min(pauses) < FIRST_PAUSE_SECONDS_MIN or pauses[-1] <= pauses[0]:
        return failed(f"waited {shown} s")
    return passed(f"waited {shown} s, one answerId")


async def refuses_forged(play: Play) -> Finding:
    """A wrong signature is refused and not acted on."""
    return await _refuses(play, forged=True)


async def refuses_stale(play: Play) -> Finding:
    """An old message is refused and not acted on, though its signature is right."""
    return await _refuses(play, forged=False)


async def _refuses(play: Play, *, forged: bool) -> Finding:
    from deploy.conformance.lines import WebhookLine

    line = play.line
    if not isinstance(line, WebhookLine):
        return skipped("The secret of the endpoint is not known; see `meldpunt partner add`")
    item = _invented_offer(play.organisation)
    other = "whsec_" + "A" * 43 + "="
    age = 0 if forged else 600
    secret = other if forged else line.secret
    status = await line.post(item, secret, int(time.time()) - age)
    await asyncio.sleep(GRACE_SECONDS / 2)
    referral_id = item["data"]["referral_id"]
    acted = any(referral_id in call.path for call in play.notebook.calls)
    if acted:
        return failed(f"answered {status} and acted on it")
    if not 400 <= status < 500:
        return failed(f"answered {status or 'nothing'} instead of 4xx")
    return passed(f"answered {status} and did nothing")


def _done(play: Play, case_id: str, first: Said) -> bool:
    tries = [item for item in play.notebook.of(case_id) if item.answer == first.answer]
    return tries[-1].status == 200 or len({item.answer_id for item in tries}) > 1


def _after_refusal(said: Sequence[Said]) -> Finding:
    for kind in ANY_ANSWER:
        tries = [item for item in said if item.answer == kind]
        refused = [number for number, item in enumerate(tries) if item.status == 409]
        if refused and len(tries) - refused[0] > 2:
            return failed(f"sent `{kind}` {len(tries) - refused[0] - 1} times more after 409")
    return passed("took 409 as final")


def _silent(play: Play, case_id: str, name: str) -> Finding:
    """Why nothing came: the system is away, or it says things that are refused."""
    said = play.notebook.of(case_id)
    if said:
        last = said[-1]
        return failed(f"said `{last.answer}` (status {last.status}), but no decision in time")
    play.silent_since = play.silent_since or name
    return failed(f"said nothing within {play.timeout_seconds:g} s")


def _invented_offer(organisation: str) -> Item:
    case_id = str(uuid.uuid4())
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    later = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 86_400))
    return {
        "specversion": "1.0",
        "id": str(uuid.uuid4()),
        "source": "urn:nld:oin:00000004003214345001:systeem:meldpunt-referral-partner-"
        + organisation,
        "type": "nl.sociale-veiligheid.meldingen.referral-offer.v1",
        "time": now,
        "subject": case_id,
        "datacontenttype": "application/json",
        "data": {
            "referral_id": str(uuid.uuid4()),
            "attempt": 1,
            "case_id": case_id,
            "reference": "PROEF-0000",
            "organisation": organisation,
            "kind": "klacht",
            "urgency": "normaal",
            "situation": {"sector": "vo", "reporter": "ouder", "kind": "klacht"}
            | {"subject": "pesten", "accused": "leerling", "flags": [], "steps_tried": []},
            "content": ["narrative"],
            "first_received_at": now,
            "received_by": later,
            "accepted_by": later,
            "signal": False,
        },
    }


def refused_text(status: int) -> str:
    """What a system did that did not take an event."""
    return f"answered {status} instead of 2xx" if status else "did not take the event in time"


def changed(item: Item, **changes: object) -> Item:
    """A copy of an event under a new id, with other attributes."""
    return copy.deepcopy(item) | {"id": str(uuid.uuid4())} | changes


def type_named(item: Item, name: str) -> str:
    """The type of another event of the same family."""
    return re.sub(r"[^.]+\.v1$", f"{name}.v1", str(item["type"]))
