import hashlib
import json
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID, uuid4

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.audit.chain import (
    EMPTY,
    ChainBroken,
    conclude,
    extend,
    follow,
    leaf_of,
    link,
    moment,
    read,
    written,
)
from services.audit.domain import Entry, Head
from services.audit.entries import entry_of
from tests.unit.audit.builders import declined_then_picked_up, picked_up, seen


def entries(story):
    return [entry_of(item.event, seen(item), n) for n, item in enumerate(story.told, 1)]


def check(logged, head):
    conclude(follow(EMPTY, map(link, logged)), head)


def leaf(entry):
    return leaf_of(json.loads(written(entry)), entry.digest)


def forged(item, **changes):
    entry = item.entry._replace(**changes)
    return item._replace(entry=entry, written=written(entry))


def test_leaf_is_the_rfc_6962_leaf_hash_of_the_described_bytes():
    entry = entries(picked_up())[2]
    _, (logged,) = extend(EMPTY, [entry])
    text = json.dumps(json.loads(logged.written), sort_keys=True, separators=(",", ":"))
    assert logged.written == text
    assert logged.leaf == hashlib.sha256(b"\0" + text.encode() + entry.digest).digest()


@pytest.mark.parametrize("place", range(5))
def test_an_entry_is_read_back_whole(place):
    entry = entries(picked_up())[place]
    assert read(written(entry), entry.digest) == entry


# What the log of the first release holds; a log that was once written can never hash otherwise.
MORNING = datetime(2026, 11, 2, 9, 0, 0, 120, tzinfo=UTC)
BARE = Entry(None, None, "s", 1, "e", "t", MORNING, MORNING, *[None] * 10, digest=bytes(32))
FULL = Entry(
    case_id=UUID("0192f0c1-0000-7000-8000-00000000000a"),
    entry=3,
    source="urn:nld:oin:1:systeem:referral",
    sequence=42,
    event_id="0192f0c1-0000-7000-8000-0000000000ff",
    type="nl.x.v1",
    time=MORNING,
    at=MORNING.astimezone(timezone(timedelta(hours=1))),
    holder="lkc",
    handoff=0,
    organisation="lkc",
    referral="0192f0c1-0000-7000-8000-00000000000b",
    attempt=1,
    status="accepted",
    reason="declined",
    next_actor="lkc",
    next_action="handle",
    next_due_at=MORNING + timedelta(days=1),
    digest=bytes(range(32)),
    facts='{"signal":true}',
)


@pytest.mark.parametrize(
    ("entry", "known"),
    [
        (FULL, "dfcc184e6b80b6a5e6b0715b1b898aa3f12fed270120e35a4b80b67318c79ee9"),
        (BARE, "066e437893f50539188d2284046c24e5fe09bedab9db7b30dafe59f855d4a808"),
        (
            FULL._replace(holder="één"),
            "b6e1dda1212df0a6d57665e08d8e5ef3dda2ce516b33ac3d897e63aae6f64dcd",
        ),
    ],
    ids=["full", "bare", "beyond ASCII"],
)
def test_leaf_of_a_known_entry_never_changes(entry, known):
    assert leaf(entry).hex() == known


def test_log_can_grow_in_batches_of_any_size():
    every = entries(declined_then_picked_up())
    whole, _ = extend(EMPTY, every)
    first, _ = extend(EMPTY, every[:3])
    grown, rest = extend(first, every[3:])
    assert grown == whole
    assert [item.log_index for item in rest] == list(range(3, len(every)))


def changed(value):
    if value is None:
        return "x"
    if isinstance(value, bytes):
        return bytes(32)
    if isinstance(value, int):
        return value + 1
    if isinstance(value, str):
        return value + "x"
    return uuid4() if hasattr(value, "hex") else value + timedelta(microseconds=1)


@pytest.mark.parametrize("name", Entry._fields)
def test_every_field_of_an_entry_is_proved(name):
    head, logged = extend(EMPTY, entries(picked_up()))
    logged[2] = forged(logged[2], **{name: changed(getattr(logged[2].entry, name))})
    with pytest.raises(ChainBroken, match="entry 2: its content was changed") as broken:
        check(logged, head)
    assert broken.value.log_index == 2


def test_rehashed_entry_breaks_the_chain():
    head, logged = extend(EMPTY, entries(picked_up()))
    other = forged(logged[1], holder="iemand_anders")
    logged[1] = other._replace(leaf=leaf(other.entry))
    with pytest.raises(ChainBroken, match="entry 1: the chain"):
        check(logged, head)


def test_removed_entries_are_found():
    head, logged = extend(EMPTY, entries(picked_up()))
    with pytest.raises(ChainBroken, match="entry 1: it is missing"):
        check(logged[:1] + logged[2:], head)
    with pytest.raises(ChainBroken, match="entry 4: it is missing at the end"):
        check(logged[:-1], head)


def test_entry_beyond_the_head_is_found():
    every = entries(picked_up())
    head, _ = extend(EMPTY, every[:-1])
    _, logged = extend(EMPTY, every)
    with pytest.raises(ChainBroken, match="the head of the log was changed"):
        check(logged, head)


def test_empty_log_is_whole():
    check([], Head(0, hashlib.sha256(b"").digest()))


def test_entry_holds_no_content():
    story = picked_up()
    entry = entries(story)[0]
    assert entry.digest == hashlib.sha256(story.told[0].envelope.data).digest()
    text = written(entry)
    assert "pesten" not in text
    assert "ouder" not in text


@given(st.dictionaries(st.text(), st.text() | st.integers(0, 2**62)), st.binary(max_size=40))
@example({"only one of two encoders escapes this": "\x7f"}, b"")
def test_leaf_is_that_of_the_documented_json_whatever_the_text(shown, digest):
    text = json.dumps(shown, sort_keys=True, separators=(",", ":"))
    expected = hashlib.sha256(b"\0" + text.encode() + digest).digest()
    assert leaf_of(shown, digest) == expected


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Years 5 to 9987.
SECONDS = st.integers(-62_000_000_000, 253_000_000_000)


@given(SECONDS, st.integers(0, 999_999) | st.just(0), st.timezones())
def test_moment_is_utc_with_microseconds(seconds, microseconds, zone):
    value = EPOCH + timedelta(seconds=seconds, microseconds=microseconds)
    expected = value.isoformat(timespec="microseconds").replace("+00:00", "Z")
    assert moment(value.astimezone(zone)) == expected
