"""The last accepted outcome, next to the register: what a change of the register did is seen."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from services.routing.check.report import Outcome
from services.routing.register import REGISTER_PATH

ACCEPTED_PATH = REGISTER_PATH.parent / "accepted.json"


@dataclass(frozen=True, slots=True)
class Accepted:
    """Who got how many situations when this register version was accepted."""

    version: str
    hash: str
    digest: str
    situations: int
    primary: dict[str, int]
    decided: dict[str, int]


def of(outcome: Outcome) -> Accepted:
    """What would be accepted now."""
    tally = outcome.tally
    return Accepted(
        version=outcome.register.version,
        hash=outcome.hash,
        digest=f"{tally.digest:016x}",
        situations=tally.situations,
        primary=dict(sorted(tally.primary.items())),
        decided=dict(sorted(tally.decided.items())),
    )


def read(path: Path = ACCEPTED_PATH) -> Accepted | None:
    """The accepted outcome, or None where nothing was accepted yet."""
    if not path.exists():
        return None
    return Accepted(**json.loads(path.read_text(encoding="utf-8")))


def write(outcome: Outcome, path: Path = ACCEPTED_PATH) -> None:
    """Accepts an outcome."""
    text = json.dumps(asdict(of(outcome)), indent=1, sort_keys=True)
    path.write_text(text + "\n", encoding="utf-8")


def changes(before: Accepted, now: Accepted) -> list[str]:
    """Per party what a new register changes, in situations; empty when nobody's case moves."""
    if before.digest == now.digest:
        return []
    rows = [
        f"{party}: {before.primary.get(party, 0)} -> {now.primary.get(party, 0)} situaties"
        for party in sorted(before.primary.keys() | now.primary.keys())
        if before.primary.get(party, 0) != now.primary.get(party, 0)
    ]
    return rows or [
        "dezelfde aantallen per partij, maar andere situaties of andere partijen ernaast"
    ]


def fault(before: Accepted | None, now: Accepted) -> str | None:
    """Decisions that changed under the same version: nobody may be surprised by those."""
    if before is None or before.version != now.version or before.digest == now.digest:
        return None
    return (
        f"De beslissingen zijn anders dan bij het aannemen van versie {now.version}"
        f" ({'; '.join(changes(before, now)[:5])}). Geef het register een nieuwe versie, en neem"
        " de uitkomst aan met --accept."
    )
