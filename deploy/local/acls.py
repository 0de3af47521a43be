"""Rights of partners at the broker: `contracts.topics.partner_acls`, set and taken back.

Every step can be repeated. The requests go over the client's own connection: Kafka's command-line
tool would start a Java runtime for each.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from enum import StrEnum
from typing import Any

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import for_code
from aiokafka.protocol.admin import (
    CreateAclsRequest_v1,
    DeleteAclsRequest_v1,
    DescribeAclsRequest_v1,
)

from contracts.topics import (
    PARTNER_NAME_PREFIX,
    Acl,
    AclOperation,
    AclResource,
    partner_acls,
    partner_principal,
)

VISIBLE_SECONDS_MAX = 10.0
VISIBLE_POLL_SECONDS = 0.05
_CLUSTER_AUTHORIZATION_FAILED = 31
_SECURITY_DISABLED = 54
_ANY = 1
_ALLOW = 3
_LITERAL, _PREFIXED = 3, 4
_RESOURCES = {AclResource.TOPIC: 2, AclResource.GROUP: 3}
_OPERATIONS = {AclOperation.READ: 3, AclOperation.WRITE: 4, AclOperation.DESCRIBE: 8}
_OURS = ("meldpunt.", PARTNER_NAME_PREFIX)
# Resource type, name, pattern, principal, host, operation, permission: as Kafka writes a right.
_Row = tuple[int, str, int, str, str, int, int]
_Filter = tuple[int, str | None, int, str | None, str | None, int, int]


class AclError(RuntimeError):
    """The broker did not set or take back a right; the text says which and why."""


class Rights(StrEnum):
    """Whether partners are kept apart at this broker."""

    ENFORCED = "enforced"
    NO_AUTHORIZER = "no-authorizer"
    NOT_OURS_TO_SET = "not-ours-to-set"


def explain(rights: Rights, *, own_names: bool) -> str:
    """What these rights mean for the partners of a stack, in a sentence for its user.

    `own_names` tells whether its partners have a listener that knows them by their certificate.
    """
    match rights:
        case Rights.ENFORCED if own_names:
            return "Every Kafka partner has its own certificate and only its own topics."
        case Rights.ENFORCED:
            return (
                "The broker knows the rights of every partner, but meldpunt gives no certificates"
                " for it: the example partners connect as the services do."
            )
        case Rights.NO_AUTHORIZER:
            return (
                "The broker checks no rights: whoever reaches it can read and write every topic,"
                " of every partner. Give it an authorizer (deploy/k8s) before a partner uses it."
            )
        case Rights.NOT_OURS_TO_SET:
            return (
                "The broker does not let meldpunt set rights: let its administrator give each"
                " partner those of deploy/k8s."
            )


async def sync(bootstrap: str, organisations: Iterable[str], *, exclusive: bool) -> Rights:
    """Give these partners the rights of the table.

    `exclusive` takes away every other right of `User:partner-*` on `meldpunt.*` and `partner-*`:
    for a broker that serves this stack alone. On a broker that checks no rights, or does not let
    this client set them, nothing is changed and the answer says so.
    """
    wanted = {_row(acl) for name in organisations for acl in partner_acls(name)}
    async with _connected(bootstrap) as client:
        found = await _described(client, None)
        if isinstance(found, Rights):
            return found
        stale = {row for row in found if exclusive and _is_partners(row)} - wanted
        await _create(client, sorted(wanted - found))
        await _delete(client, sorted(stale))
        await _visible(client, lambda rows: wanted <= rows and not stale & rows)
    return Rights.ENFORCED


async def grant(bootstrap: str, organisation: str) -> Rights:
    """Give one partner its rights; at return the broker applies them."""
    wanted = {_row(acl) for acl in partner_acls(organisation)}
    async with _connected(bootstrap) as client:
        found = await _described(client, partner_principal(organisation))
        if isinstance(found, Rights):
            return found
        await _create(client, sorted(wanted - found))
        await _visible(client, lambda rows: wanted <= rows)
    return Rights.ENFORCED


async def revoke(bootstrap: str, organisation: str) -> Rights:
    """Take back all that one partner may; at return its certificate opens nothing any more."""
    principal = partner_principal(organisation)
    async with _connected(bootstrap) as client:
        found = await _described(client, principal)
        if isinstance(found, Rights):
            return found
        await _delete(client, sorted(found))
        await _visible(client, lambda rows: not any(row[3] == principal for row in rows))
    return Rights.ENFORCED


class _Request:
    """One exact request for the client; the library's own classes send one right at a time."""

    def __init__(self, struct: Any) -> None:
        self._struct = struct

    def prepare(self, versions: Mapping[int, tuple[int, int]]) -> Any:
        """What the connection sends, if the broker's versions of this call hold it."""
        low, high = versions.get(self._struct.API_KEY, (0, -1))
        if not low <= self._struct.API_VERSION <= high:
            raise AclError("This version of Kafka cannot be asked for rights; use 2.0 or newer.")
        return self._struct


@asynccontextmanager
async def _connected(bootstrap: str) -> AsyncIterator[AIOKafkaClient]:
    client = AIOKafkaClient(bootstrap_servers=bootstrap, client_id="meldpunt-acls")
    try:
        await client.bootstrap()
        yield client
    finally:
        await client.close()


async def _described(client: AIOKafkaClient, principal: str | None) -> set[_Row] | Rights:
    every_right: _Filter = (_ANY, None, _ANY, principal, None, _ANY, _ANY)
    answer = await _ask(client, DescribeAclsRequest_v1(*every_right))
    match answer.error_code:
        case 0:
            return {
                (kind, name, pattern, owner, host, operation, permission)
                for kind, name, pattern, rights in answer.resources
                for owner, host, operation, permission in rights
            }
        case code if code == _SECURITY_DISABLED:
            return Rights.NO_AUTHORIZER
        case code if code == _CLUSTER_AUTHORIZATION_FAILED:
            return Rights.NOT_OURS_TO_SET
        case code:
            raise AclError(f"Kafka does not show its rights: {for_code(code).__name__}")


async def _create(client: AIOKafkaClient, rows: Sequence[_Row]) -> None:
    if not rows:
        return
    answer = await _ask(client, CreateAclsRequest_v1(list(rows)))
    for row, (code, text) in zip(rows, answer.creation_responses, strict=True):
        if code:
            raise AclError(
                f"Kafka refused a right of {row[3]} on {row[1]}: {for_code(code).__name__} {text}"
            )


async def _delete(client: AIOKafkaClient, rows: Sequence[_Row]) -> None:
    if not rows:
        return
    answer = await _ask(client, DeleteAclsRequest_v1(list(rows)))
    for row, (code, text, _) in zip(rows, answer.filter_responses, strict=True):
        if code:
            raise AclError(
                f"Kafka kept a right of {row[3]} on {row[1]}: {for_code(code).__name__} {text}"
            )


async def _visible(client: AIOKafkaClient, as_wanted: Callable[[set[_Row]], bool]) -> None:
    # The controller has it; the broker, which decides, follows a moment later.
    limit = time.monotonic() + VISIBLE_SECONDS_MAX
    while True:
        found = await _described(client, None)
        if isinstance(found, set) and as_wanted(found):
            return
        if time.monotonic() > limit:
            raise AclError("The broker does not apply changed rights; look at Kafka's log.")
        await asyncio.sleep(VISIBLE_POLL_SECONDS)


async def _ask(client: AIOKafkaClient, struct: Any) -> Any:
    node = client.get_random_node()
    if node is None:
        raise AclError("No broker answers.")
    return await client.send(node, _Request(struct))


def _row(acl: Acl) -> _Row:
    pattern = _PREFIXED if acl.prefixed else _LITERAL
    operation = _OPERATIONS[acl.operation]
    return (_RESOURCES[acl.resource], acl.name, pattern, acl.principal, "*", operation, _ALLOW)


def _is_partners(row: _Row) -> bool:
    return row[3].startswith(partner_principal("")) and row[1].startswith(_OURS)
