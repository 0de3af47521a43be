"""How the commands speak to the services: addresses, a token, and errors in words for people."""

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from deploy.issuer import Issuer, IssuerRefused
from deploy.local.control import read_state
from deploy.local.provision import SERVICES

TOKEN_VARIABLE = "MELDPUNT_TOKEN"  # noqa: S105 - the name of a variable.
TIMEOUT_SECONDS = 30.0
ATTEMPTS = 6
RETRY_SECONDS_MAX = 5.0
_AGAIN = frozenset({429, 502, 503, 504})


class ServiceError(RuntimeError):
    """A service refused or did not answer; the text says which one, and who must do what.

    `status` is the HTTP status, None when nothing answered; `problem` is the problem document.
    """

    def __init__(self, text: str, status: int | None, problem: Mapping[str, Any]) -> None:
        super().__init__(text)
        self.status = status
        self.problem = problem


@dataclass(frozen=True)
class FieldError:
    """What a service says of one field."""

    field: str
    problem: str
    remedy: str


class Service:
    """One service's HTTP interface with a token of one role. Use as an async context manager."""

    def __init__(self, name: str, base_url: str, token: str | None = None) -> None:
        self.name = name
        self.base_url = base_url.rstrip("/")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        # A proxy of the environment has no business between this command and its own services.
        self._http = httpx.AsyncClient(
            base_url=self.base_url, headers=headers, timeout=TIMEOUT_SECONDS, trust_env=False
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def get(self, path: str, **parameters: str | int) -> dict[str, Any]:
        """The JSON object at a path below the base address. Raises `ServiceError`."""
        return _document(self.name, await self._send("GET", path, params=parameters))

    async def post(
        self, path: str, body: Mapping[str, Any] | None = None, idempotency_key: str | None = None
    ) -> dict[str, Any]:
        """The JSON object that a POST answers. A repeat is safe only with an `idempotency_key`, so
        only then is a failure tried again. Raises `ServiceError`.
        """
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        answer = await self._send(
            "POST",
            path,
            json=body,
            headers=headers,
            attempts=ATTEMPTS if idempotency_key else 1,
        )
        return _document(self.name, answer)

    async def put(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """The JSON object that a PUT answers; a repeat is harmless. Raises `ServiceError`."""
        return _document(self.name, await self._send("PUT", path, json=body))

    async def text(self, path: str) -> str:
        """The text at a path, for metrics. Raises `ServiceError`."""
        answer = await self._send("GET", path)
        if answer.is_error:
            _document(self.name, answer)
        return answer.text

    async def problems(self) -> list[str]:
        """Why the service is not ready; empty when it is."""
        try:
            answer = await self._http.get("/readyz")
            problems: list[str] = answer.json()["problems"]
        except httpx.HTTPError:
            return ["does not answer"]
        except (ValueError, KeyError):
            return [f"answers /readyz with status {answer.status_code}"]
        return problems

    async def _send(
        self, method: str, path: str, *, attempts: int = ATTEMPTS, **arguments: Any
    ) -> httpx.Response:
        delay, problem = 0.2, ""
        for attempt in range(attempts):
            if attempt:
                await asyncio.sleep(delay)
                delay = min(delay * 2, RETRY_SECONDS_MAX)
            try:
                answer = await self._http.request(method, path, **arguments)
            except httpx.HTTPError as error:
                problem = type(error).__name__
                continue
            if answer.status_code not in _AGAIN or attempt == attempts - 1:
                return answer
        raise ServiceError(
            f"{self.name} at {self.base_url} does not answer ({problem}). Start it with"
            " `meldpunt up`, or look with `meldpunt status`.",
            None,
            {},
        )


def field_errors(problem: Mapping[str, Any]) -> list[FieldError]:
    """The fields that a problem document names."""
    return [
        FieldError(str(item["field"]), str(item["problem"]), str(item.get("remedy", "")))
        for item in problem.get("errors", ())
    ]


def _document(name: str, answer: httpx.Response) -> dict[str, Any]:
    try:
        document = answer.json()
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise ServiceError(
            f"{name} gave no JSON object (status {answer.status_code})", answer.status_code, {}
        )
    if answer.is_error:
        fields = "".join(
            f" {item.field}: {item.problem}. {item.remedy}" for item in field_errors(document)
        )
        raise ServiceError(
            f"{name} refused ({answer.status_code}): {document.get('detail', 'no reason')}{fields}",
            answer.status_code,
            document,
        )
    return document


def address(service: str, data_dir: Path) -> str:
    """Base URL of a service: `MELDPUNT_<SERVICE>_URL`, else that of the stack in the data folder.

    Raises `ServiceError` when neither is there.
    """
    given = os.environ.get(f"MELDPUNT_{service.upper()}_URL")
    found = given or read_state(data_dir).services.get(service)
    if not found:
        raise ServiceError(
            f"No address of {service}: no stack was started in {data_dir}. Start one with"
            f" `meldpunt up`, or set MELDPUNT_{service.upper()}_URL.",
            None,
            {},
        )
    return found


def token(role: str, data_dir: Path) -> str:
    """The token of `MELDPUNT_TOKEN`, else one of the data folder's development issuer."""
    try:
        return os.environ.get(TOKEN_VARIABLE) or Issuer.open(data_dir).issue(role)
    except IssuerRefused as error:
        raise ServiceError(f"{error} Give a token in {TOKEN_VARIABLE}.", None, {}) from None


def connect(service: str, role: str, data_dir: Path) -> Service:
    """A service as one role. Raises `ServiceError` when no address or token is to be had."""
    return Service(service, address(service, data_dir), token(role, data_dir))


def connect_all(role: str, data_dir: Path) -> list[Service]:
    """Every service as one role."""
    return [connect(service, role, data_dir) for service in SERVICES]
