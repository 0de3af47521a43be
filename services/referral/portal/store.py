"""SQL of the links in notices."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.chassis.db import Connection
from services.referral.portal.tokens import LIFETIME

_PRUNE_MAX = 100


@dataclass(frozen=True, slots=True)
class Link:
    """For whom a token answers what, until when."""

    organisation: str
    referral_id: UUID
    expires_at: datetime


async def add(
    connection: Connection, digest: bytes, organisation: str, referral_id: UUID, now: datetime
) -> bool:
    """Keep a new link; False when the organisation has no such referral."""
    # Links that have ended are of no use to anybody, so the table keeps only those that work.
    await connection.execute(
        "DELETE FROM portal_link WHERE digest IN (SELECT digest FROM portal_link"
        " WHERE expires_at <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED)",
        now,
        _PRUNE_MAX,
    )
    status: str = await connection.execute(
        "INSERT INTO portal_link (digest, organisation, referral_id, created_at, expires_at)"
        " SELECT $1, organisation, referral_id, $4, $5 FROM referral"
        " WHERE organisation = $2 AND referral_id = $3",
        digest,
        organisation,
        referral_id,
        now,
        now + LIFETIME,
    )
    return status.endswith(" 1")


async def find(connection: Connection, digest: bytes, now: datetime) -> Link | None:
    """The link of a token that still works."""
    row = await connection.fetchrow(
        "SELECT organisation, referral_id, expires_at FROM portal_link"
        " WHERE digest = $1 AND expires_at > $2",
        digest,
        now,
    )
    return None if row is None else Link(*row.values())


async def revoke(connection: Connection, organisation: str) -> None:
    """End all links of an organisation, because its mailbox is another one now."""
    await connection.execute("DELETE FROM portal_link WHERE organisation = $1", organisation)
