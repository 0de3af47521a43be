"""Collects what the checker judges: partners' logs and the answers of the public APIs."""

import asyncio
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from deploy.client import Service, ServiceError
from deploy.faults.checker import CaseView, PartnerLine

_AT_ONCE = 16
_PAGE = 500


def partner_lines(folder: Path) -> list[PartnerLine]:
    """All lines of all partners' logs; a last line cut short by a kill is no line."""
    found = []
    for file in sorted(folder.glob("*.jsonl")):
        for text in file.read_text(encoding="utf-8").splitlines():
            try:
                line = json.loads(text)
            except ValueError:
                continue
            found.append(
                PartnerLine(
                    line["organisation"],
                    line["caseId"],
                    line["referralId"],
                    line["event"],
                    line.get("answer"),
                )
            )
    return found


async def audit_cases(audit: Service) -> dict[str, dict[str, Any]]:
    """Every case that audit knows, by id."""
    found: dict[str, dict[str, Any]] = {}
    after: str | None = None
    while True:
        page = await audit.get("/v1/cases", limit=_PAGE, **({"after": after} if after else {}))
        for case in page["cases"]:
            found[case["caseId"]] = case
        after = page.get("next")
        if not after:
            return found


async def views(
    case_ids: Iterable[str], known: dict[str, dict[str, Any]], referral: Service, audit: Service
) -> dict[str, CaseView]:
    """What referral and audit each say of these cases."""
    gate = asyncio.Semaphore(_AT_ONCE)

    async def look(case_id: str) -> CaseView:
        async with gate:
            held = await _get(referral, f"/v1/cases/{case_id}")
            trail = await _get(audit, f"/v1/cases/{case_id}/trail")
        return _view(case_id, held, known.get(case_id), trail)

    found: Sequence[CaseView] = await asyncio.gather(*(look(c) for c in sorted(set(case_ids))))
    return {view.case_id: view for view in found}


async def _get(service: Service, path: str) -> dict[str, Any] | None:
    try:
        return await service.get(path)
    except ServiceError as error:
        if error.status == 404:
            return None
        raise


def _view(
    case_id: str,
    held: dict[str, Any] | None,
    known: dict[str, Any] | None,
    trail: dict[str, Any] | None,
) -> CaseView:
    next_step = (held or {}).get("nextStep")
    entries = (trail or {}).get("entries", [])
    return CaseView(
        case_id=case_id,
        referral_holder=held["holder"] if held else None,
        referral_next=next_step["action"] if next_step else None,
        audit_holder=known["holder"] if known else None,
        audit_verdict=known["state"] if known else None,
        trail=tuple((entry["source"], entry["sequence"]) for entry in entries),
    )
