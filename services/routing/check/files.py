"""The report of a check as files in a folder."""

import json
from pathlib import Path
from typing import Any

from services.routing.check.picture import page, pictures
from services.routing.check.report import Outcome


def write(folder: Path, outcome: Outcome, text: str, document: dict[str, Any]) -> None:
    """Writes `check.txt`, `check.json`, the heat maps and `index.html`; raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "check.txt").write_text(text + "\n", encoding="utf-8")
    data = json.dumps(document, indent=1, ensure_ascii=False)
    (folder / "check.json").write_text(data + "\n", encoding="utf-8")
    (folder / "index.html").write_text(page(outcome), encoding="utf-8")
    for name, drawing in pictures(outcome).items():
        (folder / name).write_text(drawing, encoding="utf-8")
