"""Checks of a partner's system as a whole: what is new, outages, restarts, order, content, logs."""

import asyncio
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from deploy.conformance.checks import changed, refused_text, type_named
from deploy.conformance.lines import InboxLine
from deploy.conformance.notebook import Call
from deploy.conformance.play import GRACE_SECONDS, Play
from deploy.conformance.report import Finding, failed, passed, skipped

OUTAGE_OFFERS = 4
CALLS_PER_SECOND_MAX = 50
# Who backs off is still by the second half of an outage.
KNOCKS_PER_SECOND_MAX = 8
LOG_BYTES_MAX = 50_000_000
ACKNOWLEDGE = "/v1/partner-events/_acknowledge"


async def survives_unknown_type(play: Play) -> Finding:
    """A type of a later version does not stop it."""
    name = "unknown-event-type"
    played = await play.offered(name)
    if await play.decided(played) is None:
        return _dead(play, name)
    offer = await play.chain.offer(played.case_id)
    assert play.line is not None
    status = await play.line.bring(changed(offer, type=type_named(offer, "sunny-day")))
    return await _goes_on(play, name, status)


async def survives_unknown_field(play: Play) -> Finding:
    """A field of a later version does not stop it."""
    name = "unknown-field"
    case_id = await play.case(name)
    inbox = isinstance(play.line, InboxLine)
    if inbox:
        play.sandbox.change(case_id, {"weather": {"sunny": True}})
    played = await play.chain.assign(case_id)
    if await play.decided(played) is None:
        return _dead(play, name)
    if inbox:
        return passed("decided on the offer all the same")
    offer = await play.chain.offer(case_id)
    data = offer["data"] | {"weather": {"sunny": True}}
    assert play.line is not None
    status = await play.line.bring(changed(offer, data=data))
    return await _goes_on(play, name, status)


async def survives_reminder(play: Play) -> Finding:
    """A reminder is no new question: nothing is answered under a new id."""
    name = "reminder"
    played = await play.offered(name)
    if await play.decided(played) is None:
        return _dead(play, name)
    offer = await play.chain.offer(played.case_id)
    kept = ("referral_id", "attempt", "case_id", "organisation")
    now = datetime.now(UTC)
    data = {field: offer["data"][field] for field in kept} | {
        "action": "handle",
        "number": 1,
        "due_at": (now + timedelta(days=1)).isoformat(),
        "at": now.isoformat(),
    }
    await asyncio.sleep(0.3)
    before = play.ids(played.case_id)
    assert play.line is not None
    status = await play.line.bring(
        changed(offer, type=type_named(offer, "referral-reminder"), data=data)
    )
    finding = await _goes_on(play, name, status)
    if play.ids(played.case_id) - before:
        return failed("answered a reminder under a new answerId")
    return finding


async def _goes_on(play: Play, name: str, status: int | None) -> Finding:
    if status is not None and not 200 <= status < 300:
        return failed(refused_text(status))
    if not await play.lives(name):
        return _dead(play, name)
    return passed("went on with the next offer")


def _dead(play: Play, name: str) -> Finding:
    play.silent_since = name
    return failed(f"stopped: no decision within {play.timeout_seconds:g} s")


async def catches_up(play: Play) -> Finding:
    """After an outage nothing is lost, and meldpunt is not run over."""
    name = "outage"
    case_ids = [await play.case(name) for _ in range(OUTAGE_OFFERS)]
    began = time.monotonic()
    if play.channel == "kafka":
        if play.broker_away is None:
            return skipped("The broker is not on this machine, so it cannot be stopped here")
        with play.broker_away():
            played = [await play.chain.assign(case_id) for case_id in case_ids]
            await asyncio.sleep(play.outage_seconds)
    else:
        play.sandbox.go(away=True)
        try:
            played = [await play.chain.assign(case_id) for case_id in case_ids]
            await asyncio.sleep(play.outage_seconds)
        finally:
            play.sandbox.go(away=False)
    back = time.monotonic()
    lost = [item for item in played if await play.decided(item) is None]
    if lost:
        return failed(f"{len(lost)} of {OUTAGE_OFFERS} offers were never decided on")
    half = back - play.outage_seconds / 2
    knocks = sum(half <= call.at < back for call in play.notebook.calls)
    if knocks > KNOCKS_PER_SECOND_MAX * play.outage_seconds / 2:
        return failed(f"kept knocking: {knocks} calls in the last half of the outage")
    late = max(said.at for i in played if (said := play.decision(i.case_id))) - back
    most = _most_in_a_second([call for call in play.notebook.calls if call.at >= began])
    did = f"caught up in {max(late, 0):.1f} s, at most {most} calls in a second"
    return passed(did) if most <= CALLS_PER_SECOND_MAX else failed(did)


async def survives_restart(play: Play) -> Finding:
    """The place in the feed survives a restart: nothing is lost and nothing is done anew."""
    name = "restart"
    if play.restart_command is None:
        return skipped("Give --restart-command to see this")
    first = await play.offered(name)
    if await play.decided(first) is None:
        return _dead(play, name)
    await asyncio.sleep(0.5)
    before = play.ids(first.case_id)
    asked = _cursors(play.notebook.calls)
    status = await play.restart()
    if status:
        return failed(f"the restart command ended with status {status}")
    if not await play.lives(name):
        return _dead(play, name)
    await asyncio.sleep(GRACE_SECONDS / 2)
    if play.ids(first.case_id) - before:
        return failed("answered an older offer under a new answerId")
    assert play.restarted_at is not None
    later = _cursors([call for call in play.notebook.calls if call.at > play.restarted_at])
    if play.channel == "inbox" and asked and later and later[0] < asked[-1]:
        return failed(f"asked from {later[0]} after the restart, from {asked[-1]} before it")
    return passed("went on where it was")


async def keeps_order(play: Play) -> Finding:
    """It asks for its events from where it was, never back and never ahead."""
    pages = _pages(play)
    if not pages:
        return failed("never asked for its events")
    # A restart of the system may repeat; that has a check of its own.
    pairs = [
        (one, other)
        for one, other in pairwise(pages)
        if not (play.restarted_at and one.at < play.restarted_at <= other.at)
    ]
    # Without `after` it goes on behind what it acknowledged, which never goes back.
    named = [(one, other, other.after) for one, other in pairs if other.after is not None]
    back = sum(after < (one.after or 0) for one, _, after in named)
    ahead = sum(after > (one.given or 0) for one, _, after in named)
    if back or ahead:
        return failed(f"went back {back} times and ahead {ahead} times")
    return passed(f"asked {len(pages)} times, always from where it was")


async def acknowledges(play: Play) -> Finding:
    """It acknowledges what it has, and nothing more; who keeps its own cursor need not."""
    pages = _pages(play)
    if not pages:
        return failed("never asked for its events")
    calls = [call for call in play.notebook.calls if call.path == ACKNOWLEDGE]
    if any(_too_much(call, pages) for call in calls):
        return failed("acknowledged events that it had not been given")
    if any(call.status == 400 for call in calls):
        return failed("acknowledged with a body that cannot be read, or ahead of its feed")
    own_cursor, wanted = pages[-1].after is not None, max(_asked(page) for page in pages)
    await play.until(lambda: _acknowledged(play) >= wanted, GRACE_SECONDS)
    done = _acknowledged(play)
    if done >= wanted and calls:
        return passed(f"acknowledged up to and with {done}")
    if own_cursor:
        return skipped("It keeps its own cursor; acknowledge too, and meldpunt sees what arrived")
    return failed(f"asks without `after` and acknowledged up to {done}: it gets the same again")


def _pages(play: Play) -> list[Call]:
    return [call for call in play.notebook.calls if call.given is not None and call.status == 200]


def _asked(page: Call) -> int:
    """What it had when it asked for this page; without `after`, what the page goes to."""
    return (page.given if page.after is None else page.after) or 0


def _acknowledged(play: Play) -> int:
    good = (call for call in play.notebook.calls if call.path == ACKNOWLEDGE and call.status == 200)
    return max((call.acknowledged or 0 for call in good), default=0)


def _too_much(call: Call, pages: Sequence[Call]) -> bool:
    before = [page.given or 0 for page in pages if page.at <= call.at]
    return bool(before) and (call.acknowledged or 0) > max(before)


async def fetches_content(play: Play) -> Finding:
    """Content is fetched with a capability, never otherwise."""
    reads = [call for call in play.notebook.calls if call.path.startswith("/v1/contents/")]
    if not reads:
        return skipped("It fetched no content through the sandbox")
    bare = sum(not call.capability for call in reads)
    if bare:
        return failed(f"{bare} of {len(reads)} fetches had no Content-Capability")
    good = sum(call.status == 200 for call in reads)
    if not good:
        return failed(f"none of {len(reads)} fetches succeeded (status {reads[-1].status})")
    return passed(f"{good} fetched with a capability")


async def logs_no_content(play: Play) -> Finding:
    """The words of a person are in no log."""
    if not play.logs:
        return skipped("Give --log FILE to let it be searched")
    found = 0
    for path in play.logs:
        with path.open("rb") as file:
            text = file.read(LOG_BYTES_MAX).decode(errors="replace")
        found += sum(word in text for word in play.chain.words)
    if found:
        return failed(f"the words of {found} persons stand in the log")
    return passed(f"none of {len(play.chain.words)} texts stands in it")


def _cursors(calls: Iterable[Call]) -> list[int]:
    return [c.after for c in calls if c.after is not None and c.status == 200]


def _most_in_a_second(calls: Sequence[Call]) -> int:
    times = sorted(call.at for call in calls)
    most, begin = 0, 0
    for end, moment in enumerate(times):
        while times[begin] <= moment - 1:
            begin += 1
        most = max(most, end - begin + 1)
    return most
