"""`python -m services.routing.places`: check and take over a list of affiliations."""

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path

from services.routing.places.affiliations import AFFILIATIONS_PATH, committees_of, load_affiliations
from services.routing.places.tables import ListInvalid
from services.routing.register import RegisterInvalid, load_register

_EXAMPLE = "example: python -m services.routing.places import affiliations-2026-12.csv"


def main(arguments: list[str] | None = None) -> int:
    """Exit status 0 when the list is sound, 1 with file, line and remedy when it is not."""
    options = _parser().parse_args(arguments)
    file: Path = options.file
    try:
        committees = committees_of(load_register())
        found = load_affiliations(committees, datetime.now(UTC).date(), file)
    except (ListInvalid, RegisterInvalid) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if options.action == "import":
        _replace(file, options.into)
    sys.stdout.write(f"{len(found)} affiliations are sound\n")
    return 0


def _replace(file: Path, target: Path) -> None:
    """A reader sees the old list or the new one, never half of either."""
    fresh = target.with_suffix(".new")
    fresh.write_bytes(file.read_bytes())
    fresh.replace(target)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m services.routing.places",
        description="Check a list of affiliations of boards, or take it over.",
        epilog=_EXAMPLE,
    )
    parser.add_argument("action", choices=("check", "import"))
    parser.add_argument("file", type=Path, help="CSV with the header of data/affiliations.csv")
    parser.add_argument("--into", type=Path, default=AFFILIATIONS_PATH, help="the list to replace")
    return parser


if __name__ == "__main__":
    sys.exit(main())
