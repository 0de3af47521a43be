"""A batch of any events into the log, the pictures and the counts, in a few statements."""

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from contracts.operations import TallyPublished
from services.audit import batch_store, chain, log_store, sequences, specials, store
from services.audit.batch_store import Changes
from services.audit.domain import Entry, Picture, Progress, Standing
from services.audit.entries import entry_of
from services.audit.figures import summed
from services.audit.merges import blank, case_of, merge
from services.audit.rules import FACTS, Traits, counted, standing, traits
from services.chassis.db import Connection
from services.chassis.incoming import Received


async def handle(connection: Connection, received: Sequence[Received]) -> None:
    """Note a batch of events; publishes nothing."""
    head = await log_store.lock_head(connection)
    case_ids = {case_id for item in received if (case_id := case_of(item.event))}
    before = await store.pictures(connection, case_ids)
    after, entries = fold(before, received)
    judged = [(picture, standing(picture)) for picture in after.values()]
    new_head, logged = chain.extend(head, entries)
    rows = specials.rows_of(received)
    progress, blocks = await _progress(connection, received)
    await log_store.append(connection, logged)
    await batch_store.write(
        connection,
        Changes(
            new_head,
            judged,
            rows.reports,
            differences(before, judged),
            summed(item.event for item in received),
            list(progress.values()),
            blocks,
        ),
    )
    await specials.write(connection, rows)


def fold(
    before: Mapping[UUID, Picture], received: Sequence[Received]
) -> tuple[dict[UUID, Picture], list[Entry]]:
    """The pictures that a batch changes, and an entry per event."""
    after: dict[UUID, Picture] = {}
    entries = []
    for item in received:
        event, seen = item.event, item.envelope
        case_id = case_of(event)
        number = None
        if case_id is not None:
            known = after.get(case_id) or before.get(case_id) or blank(case_id)
            after[case_id] = merge(known, event, seen)
            number = after[case_id].entries
        entries.append(entry_of(event, seen, number))
    return after, entries


def differences(
    before: Mapping[UUID, Picture], judged: Iterable[tuple[Picture, Standing]]
) -> list[int]:
    """What changed pictures, each with its standing, add to the counters; as `rules.FACTS`."""
    cases: dict[Traits, int] = {}
    for picture, own in judged:
        new = traits(picture, own)
        cases[new] = cases.get(new, 0) + 1
        known = before.get(picture.case_id)
        if known is not None:
            old = traits(known, standing(known))
            cases[old] = cases.get(old, 0) - 1
    # A batch has hundreds of cases and a handful of traits.
    sums = [0] * len(FACTS)
    for shared, number in cases.items():
        sums = [s + number * one for s, one in zip(sums, counted(shared), strict=True)]
    return sums


async def _progress(
    connection: Connection, received: Sequence[Received]
) -> tuple[dict[str, Progress], dict[str, dict[int, int]]]:
    """How far sources have come with a batch, and the blocks of sequences that it changes."""
    seen: dict[str, list[int]] = {}
    tallies: dict[str, int] = {}
    for item in received:
        if item.envelope.sequence > 0:
            seen.setdefault(item.envelope.source, []).append(item.envelope.sequence)
        if type(item.event) is TallyPublished:
            source = item.event.tallied_source
            tallies[source] = max(tallies.get(source, 0), item.event.through_sequence)
    wanted = {(s, sequences.block_of(n)) for s, numbers in seen.items() for n in numbers}
    known = await store.blocks(connection, sorted(wanted))
    progress = await store.progress(connection, sorted(seen.keys() | tallies.keys()))
    changed: dict[str, dict[int, int]] = {}
    for source, numbers in seen.items():
        progress[source], changed[source] = sequences.mark(
            progress[source], known.get(source, {}), numbers
        )
    for source, through in tallies.items():
        progress[source] = sequences.tally(progress[source], through)
    return progress, changed
