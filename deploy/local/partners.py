"""The partners that joined the stack of a data folder, beside those of referral's own list.

Each has a folder `<data>/partners/<organisation>/`; `partner.json` in it says how it is reached.
"""

from __future__ import annotations

from pathlib import Path

from deploy.local.state import read_json

RECORD_FILE = "partner.json"


def partner_folder(data_dir: Path, organisation: str) -> Path:
    """Where everything of one partner is."""
    return data_dir / "partners" / organisation


def joined(data_dir: Path, channel: str | None = None) -> tuple[str, ...]:
    """The organisations that joined here, of one channel or of all; in order."""
    records = (data_dir / "partners").glob(f"*/{RECORD_FILE}")
    return tuple(
        sorted(
            path.parent.name
            for path in records
            if channel is None or read_json(path).get("channel") == channel
        )
    )
