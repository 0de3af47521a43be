"""The client of the fault run: sends reports at a steady pace and writes down what it was told.

It behaves as a good channel does: no answer, or 429, 502, 503, 504, means the same request again
with the same key.
"""

import asyncio
import itertools
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import httpx

from deploy.faults.checker import Request

TIMEOUT_SECONDS = 12.0
RETRY_SECONDS = 0.5
GIVE_UP_SECONDS = 120.0
_AGAIN = frozenset({429, 502, 503, 504})
_MANY_WAITERS = 200


@dataclass(slots=True)
class Load:
    """What was sent so far."""

    requests: list[Request] = field(default_factory=list)
    acknowledged: int = 0
    refused: int = 0


class Client:
    """Sends reports and keeps a log, one JSON line per answer."""

    def __init__(self, base_url: str, token: str, log_file: Path, run_id: str) -> None:
        self._url = f"{base_url}/v1/reports"
        self._token = token
        self._log_file = log_file
        self._run_id = run_id
        self.load = Load()

    async def run(self, bodies: Sequence[Mapping[str, Any]], reports: int, seconds: float) -> None:
        """Send `reports` reports spread over `seconds`; returns when each has its answer."""
        limits = httpx.Limits(max_connections=_MANY_WAITERS)
        start = time.monotonic()
        with self._log_file.open("a", encoding="utf-8", buffering=1) as log:
            async with (
                httpx.AsyncClient(timeout=TIMEOUT_SECONDS, limits=limits, trust_env=False) as http,
                asyncio.TaskGroup() as tasks,
            ):
                for number, body in zip(range(reports), itertools.cycle(bodies), strict=False):
                    await asyncio.sleep(
                        max(0.0, start + number * seconds / reports - time.monotonic())
                    )
                    tasks.create_task(self._send(http, log, f"{self._run_id}-{number:06d}", body))

    async def _send(
        self, http: httpx.AsyncClient, log: TextIO, key: str, body: Mapping[str, Any]
    ) -> None:
        started = time.monotonic()
        headers = {"Authorization": f"Bearer {self._token}", "Idempotency-Key": key}
        case_ids: list[str] = []
        attempts = 0
        while time.monotonic() - started < GIVE_UP_SECONDS:
            attempts += 1
            try:
                answer = await http.post(self._url, json=body, headers=headers)
            except httpx.HTTPError as error:
                _write(log, key, attempts, type(error).__name__)
                await asyncio.sleep(RETRY_SECONDS)
                continue
            _write(log, key, attempts, answer.status_code)
            if answer.status_code in _AGAIN:
                await asyncio.sleep(RETRY_SECONDS)
                continue
            if answer.is_success:
                case_ids.append(answer.json()["caseId"])
                # Every tenth receipt is asked for again: it must name the same case.
                if key.endswith("0") and len(case_ids) == 1:
                    continue
            break
        self._finish(key, case_ids, attempts)

    def _finish(self, key: str, case_ids: list[str], attempts: int) -> None:
        self.load.acknowledged += bool(case_ids)
        self.load.refused += not case_ids
        self.load.requests.append(Request(key, tuple(case_ids), attempts, not case_ids))


def _write(log: TextIO, key: str, attempt: int, outcome: str | int) -> None:
    log.write(json.dumps({"key": key, "attempt": attempt, "outcome": outcome}) + "\n")
