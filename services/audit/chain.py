"""The log's hashes: a leaf per entry and a chain over the leaves. Pure; anybody can recompute them.

Leaf: SHA-256(0x00 || entry), the leaf hash of RFC 6962, where the entry is the metadata as JSON
(keys sorted, no white space, absent values left out, ASCII) followed by the 32 bytes of the
SHA-256 of the event's data. Chain: SHA-256(chain before || leaf), beginning with SHA-256("").
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any
from uuid import UUID

import orjson

from services.audit.domain import Entry, Head, Link, Logged

EMPTY = Head(0, hashlib.sha256(b"").digest())
_FIELDS = tuple(sorted(name for name in Entry._fields if name != "digest"))
_DELETE = b"\x7f"
_values = attrgetter(*_FIELDS)
_encode_any = json.JSONEncoder(separators=(",", ":"), sort_keys=True, default=str).encode


class ChainBroken(Exception):
    """The log is not what was once written; `log_index` is the first entry that shows it."""

    def __init__(self, log_index: int, problem: str) -> None:
        super().__init__(f"entry {log_index}: {problem}")
        self.log_index = log_index


def moment(value: datetime) -> str:
    """UTC with microseconds and Z, so that no part of a stored moment is left unproved."""
    utc = value.astimezone(UTC)
    # A third of what `isoformat` costs, but it leaves out microseconds when they are 0.
    text = orjson.dumps(utc, option=orjson.OPT_UTC_Z)[1:-2].decode()
    return f"{text}Z" if utc.microsecond else f"{text}.000000Z"


def written(entry: Entry) -> str:
    """The metadata that the leaf of an entry commits to, besides the digest, as JSON."""
    shown = {n: v for n, v in zip(_FIELDS, _values(entry), strict=True) if v is not None}
    shown["time"] = moment(entry.time)
    shown["at"] = moment(entry.at)
    if entry.next_due_at is not None:
        shown["next_due_at"] = moment(entry.next_due_at)
    return _encoded(shown)


def read(text: str, digest: bytes) -> Entry:
    """The entry of which this was written, with the digest of the event's data.

    A field that a newer release wrote is left out; the leaf still commits to it.
    """
    given = orjson.loads(text)
    found: dict[str, Any] = {name: given.get(name) for name in Entry._fields}
    for name in ("time", "at", "next_due_at"):
        if found[name] is not None:
            found[name] = datetime.fromisoformat(found[name])
    if found["case_id"] is not None:
        found["case_id"] = UUID(found["case_id"])
    return Entry(**found | {"digest": digest})


def leaf_of(shown: Mapping[str, Any], digest: bytes) -> bytes:
    """Leaf hash of metadata and the digest of the event's data, 32 bytes."""
    return _leaf(_encoded(shown), digest)


def _encoded(shown: Mapping[str, Any]) -> str:
    text = orjson.dumps(shown, option=orjson.OPT_SORT_KEYS)
    # Both write ASCII in the same way, but for DEL, which only one of them escapes. The form of the
    # log does not depend on which one is quick.
    return text.decode() if text.isascii() and _DELETE not in text else _encode_any(shown)


def _leaf(text: str, digest: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + text.encode() + digest).digest()


def extend(head: Head, entries: Iterable[Entry]) -> tuple[Head, list[Logged]]:
    """Add entries to the log; gives the new head and each entry at its place."""
    index, chain = head.size, head.chain
    logged = []
    for entry in entries:
        text = written(entry)
        own = _leaf(text, entry.digest)
        chain = hashlib.sha256(chain + own).digest()
        logged.append(Logged(index, entry, text, own, chain))
        index += 1
    return Head(index, chain), logged


def link(item: Logged) -> Link:
    """What a stranger needs to check an entry."""
    metadata = orjson.loads(item.written)
    return Link(item.log_index, metadata, item.entry.digest, item.leaf, item.chain)


def follow(reached: Head, links: Iterable[Link]) -> Head:
    """Recompute the chain over the next entries; raises ChainBroken at the first that differs.

    Begin with EMPTY, give page after page, end with `conclude`.
    """
    size, chain = reached.size, reached.chain
    for item in links:
        if item.log_index != size:
            raise ChainBroken(size, "it is missing")
        own = leaf_of(item.metadata, item.digest)
        if own != item.leaf:
            raise ChainBroken(size, "its content was changed")
        chain = hashlib.sha256(chain + own).digest()
        if chain != item.chain:
            raise ChainBroken(size, "the chain does not continue here")
        size += 1
    return Head(size, chain)


def conclude(reached: Head, head: Head) -> None:
    """Compare what was recomputed with the head that was kept; raises ChainBroken."""
    if reached.size < head.size:
        raise ChainBroken(reached.size, "it is missing at the end of the log")
    if reached != head:
        raise ChainBroken(head.size, "the head of the log was changed")
