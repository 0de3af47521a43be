"""The outcome as text for a person and as one JSON document for a program."""

from collections.abc import Iterable, Sequence
from typing import Any

from services.routing.check.report import DESK_SHARE_MAX, Outcome, Row

FIELDS = ("sector", "reporter", "kind", "subject")
PAIRS_IN_TEXT = 10


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Columns as wide as their widest cell; numbers to the right."""
    cells = [[str(cell) for cell in row] for row in (head, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    return [
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]


def _row(row: Row) -> tuple[object, ...]:
    share = row.desk / row.situations if row.situations else 0.0
    return row.answer, row.situations, row.none, row.one, row.two, row.more, f"{share:.2%}"


def text(outcome: Outcome) -> str:
    """Everything that a reader of the outcome wants, faults first."""
    lines = [f"Register {outcome.register.version} ({outcome.hash[:12]})"]
    lines += [f"FAULT  {fault}" for fault in outcome.faults]
    lines += [f"note   {warning}" for warning in outcome.warnings]
    tally = outcome.tally
    lines += [
        "",
        (
            f"{tally.situations} plausible situations in {tally.classes} classes,"
            f" {tally.decisions} decisions; at most {tally.longest_chain} parties in turn before"
            " the desk."
        ),
        (
            f"Desk as primary: {sum(tally.desk.values())} situations ({outcome.desk_share:.2%},"
            f" at most {DESK_SHARE_MAX:.0%} allowed)."
        ),
    ]
    lines += [f"  {rule}: {n} - {why}" for rule, n, why in outcome.desk_reasons()]
    for name in FIELDS:
        head = (name, "situations", "0 parties", "1", "2", "3+", "desk")
        lines += ["", *table(head, map(_row, outcome.rows(name)))]
    lines += ["", "Parties that are competent together most often:"]
    lines += table(("pair", "situations"), _pairs(outcome, PAIRS_IN_TEXT))
    lines += ["", "Left out as implausible (combinations of answers, or answers per flag):"]
    lines += [f"  {number:>6}  {reason}: {why}" for reason, why, number in outcome.left_out]
    lines += ["", _agreement(outcome)]
    return "\n".join(lines)


def _pairs(outcome: Outcome, number: int) -> list[tuple[str, int]]:
    return [(f"{one} + {other}", n) for one, other, n in outcome.pairs()[:number]]


def _agreement(outcome: Outcome) -> str:
    found = outcome.agreement
    if found is None:
        return "The second method was not asked."
    alike = "the same competent parties" if found.competent_alike else "OTHER competent parties"
    return (
        f"Second method: {alike} in {found.situations} situations, one by one;"
        f" {found.decisions_compared} decisions compared, {len(found.differences)} differ,"
        f" {found.gaps} gaps."
    )


def document(outcome: Outcome) -> dict[str, Any]:
    """The outcome as JSON holds it."""
    tally = outcome.tally
    agreement = outcome.agreement
    return {
        "registerVersion": outcome.register.version,
        "registerHash": outcome.hash,
        "valid": not outcome.faults,
        "faults": outcome.faults,
        "warnings": outcome.warnings,
        "situations": tally.situations,
        "classes": tally.classes,
        "decisions": tally.decisions,
        "longestChain": tally.longest_chain,
        "decisionsDigest": f"{tally.digest:016x}",
        "desk": {
            "situations": sum(tally.desk.values()),
            "share": round(outcome.desk_share, 6),
            "allowed": DESK_SHARE_MAX,
            "reasons": [
                {"rule": rule, "situations": number, "why": why}
                for rule, number, why in outcome.desk_reasons()
            ],
        },
        "figures": {
            name: [
                {
                    "answer": row.answer,
                    "situations": row.situations,
                    "noParty": row.none,
                    "oneParty": row.one,
                    "twoParties": row.two,
                    "moreParties": row.more,
                    "desk": row.desk,
                }
                for row in outcome.rows(name)
            ]
            for name in FIELDS
        },
        "pairs": [
            {"organisations": [one, other], "situations": number}
            for one, other, number in outcome.pairs()
        ],
        "primary": dict(tally.primary.most_common()),
        "deskIsNextAfter": [
            {"rule": rule, "party": party, "chains": number}
            for (rule, party), number in tally.next_is_desk.most_common()
        ],
        "leftOut": [
            {"reason": reason, "why": why, "combinations": number}
            for reason, why, number in outcome.left_out
        ],
        "secondMethod": agreement
        and {
            "situations": agreement.situations,
            "competentAlike": agreement.competent_alike,
            "decisionsCompared": agreement.decisions_compared,
            "gaps": agreement.gaps,
            "differences": list(agreement.differences),
        },
    }
