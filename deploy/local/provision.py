"""What must exist before a service starts: databases, roles, rights and topics.

Every step can be repeated.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import for_code

from contracts.topics import TopicSpec

SERVICES = ("intake", "routing", "referral", "audit")
STATEMENT_TIMEOUT = "30s"
IDLE_IN_TRANSACTION_TIMEOUT = "60s"
_TOPIC_EXISTS = 36


class ProvisioningError(RuntimeError):
    """A topic or database could not be brought to what the tables ask.

    The text says which and what to do.
    """


@dataclass(frozen=True)
class Passwords:
    """Passwords of one service's two roles."""

    owner: str
    application: str


@dataclass(frozen=True)
class DatabaseUrls:
    """DSNs of one service's database.

    `owner` for migrations, `application` for reading and writing rows.
    """

    owner: str
    application: str


async def provision_databases(
    admin_url: str,
    prefix: str = "meldpunt",
    passwords: Mapping[str, Passwords] | None = None,
    services: Iterable[str] = SERVICES,
) -> dict[str, DatabaseUrls]:
    """Create the database `<prefix>_<service>` of each service, with its two roles.

    The roles are `<prefix>_<service>_owner` for migrations and `<prefix>_<service>` for rows.
    Returns the DSNs by service. Passwords that are not given are made and set anew, also on
    existing roles.
    """
    urls: dict[str, DatabaseUrls] = {}
    for service in services:
        chosen = (passwords or {}).get(service) or Passwords(_random(), _random())
        name = f"{prefix}_{service}"
        connection = await asyncpg.connect(admin_url)
        try:
            await _ensure_role(connection, f"{name}_owner", chosen.owner)
            await _ensure_role(connection, name, chosen.application)
            await _ensure_database(connection, name)
        finally:
            await connection.close()
        await _grant(_url(admin_url, database=name), name)
        urls[service] = DatabaseUrls(
            owner=_url(admin_url, name, f"{name}_owner", chosen.owner),
            application=_url(admin_url, name, name, chosen.application),
        )
    return urls


async def drop_databases(admin_url: str, prefix: str, services: Iterable[str] = SERVICES) -> None:
    """Remove what `provision_databases` made under this prefix, with all rows. For tests."""
    connection = await asyncpg.connect(admin_url)
    try:
        for service in services:
            name = f"{prefix}_{service}"
            await connection.execute(f"DROP DATABASE IF EXISTS {_quoted(name)} WITH (FORCE)")
            for role in (name, f"{name}_owner"):
                await connection.execute(f"DROP ROLE IF EXISTS {_quoted(role)}")
    finally:
        await connection.close()


async def provision_topics(bootstrap: str, topics: Iterable[TopicSpec]) -> None:
    """Create the topics that are missing and set the configuration of those that exist.

    Raises `ProvisioningError` when an existing topic has another number of partitions: a change
    would send later events of a case to another partition than its earlier ones, and their order
    would be lost.
    """
    wanted = {topic.name: topic for topic in topics}
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=20_000)
    await admin.start()
    try:
        existing = set(await admin.list_topics()) & wanted.keys()
        await _create(admin, [wanted[name] for name in wanted.keys() - existing])
        if existing:
            await _check_partitions(admin, [wanted[name] for name in sorted(existing)])
            await _configure(admin, [wanted[name] for name in sorted(existing)])
    finally:
        await admin.close()


async def _create(admin: AIOKafkaAdminClient, topics: list[TopicSpec]) -> None:
    if not topics:
        return
    answer = await admin.create_topics(
        [
            NewTopic(topic.name, topic.partitions, 1, topic_configs=dict(topic.config))
            for topic in topics
        ]
    )
    for name, code, *text in answer.topic_errors:
        if code not in (0, _TOPIC_EXISTS):
            raise ProvisioningError(
                f"Kafka refused topic {name}: {for_code(code).__name__} {' '.join(map(str, text))}"
            )


async def _check_partitions(admin: AIOKafkaAdminClient, topics: list[TopicSpec]) -> None:
    described = {
        topic["topic"]: topic
        for topic in await admin.describe_topics([topic.name for topic in topics])
    }
    for topic in topics:
        actual = len(described[topic.name]["partitions"])
        if actual != topic.partitions:
            raise ProvisioningError(
                f"Topic {topic.name} has {actual} partitions, the topic table asks"
                f" {topic.partitions}. Set the table to {actual}, or stop the services, delete the"
                " topic and rebuild it from the event tables."
            )


async def _configure(admin: AIOKafkaAdminClient, topics: list[TopicSpec]) -> None:
    resources = [
        ConfigResource(ConfigResourceType.TOPIC, topic.name, dict(topic.config)) for topic in topics
    ]
    for answer in await admin.alter_configs(resources):
        for code, text, _, name in answer.resources:
            if code != 0:
                raise ProvisioningError(
                    f"Kafka refused the configuration of topic {name}: {for_code(code).__name__} "
                    f"{text}"
                )


async def _ensure_role(connection: asyncpg.Connection, role: str, password: str) -> None:
    exists = await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role)
    action = "ALTER" if exists else "CREATE"
    # These statements take no parameters; the server itself quotes the password.
    literal = await connection.fetchval("SELECT quote_literal($1::text)", password)
    await connection.execute(
        f"{action} ROLE {_quoted(role)} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD "
        f"{literal}"
    )


async def _ensure_database(connection: asyncpg.Connection, name: str) -> None:
    if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", name):
        await connection.execute(
            f"CREATE DATABASE {_quoted(name)} OWNER {_quoted(f'{name}_owner')}"
        )


async def _grant(url: str, name: str) -> None:
    database, owner, application = _quoted(name), _quoted(f"{name}_owner"), _quoted(name)
    defaults = f"ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA public"
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(f"""
            REVOKE ALL ON DATABASE {database} FROM PUBLIC;
            GRANT CONNECT ON DATABASE {database} TO {application};
            ALTER SCHEMA public OWNER TO {owner};
            REVOKE ALL ON SCHEMA public FROM PUBLIC;
            GRANT USAGE ON SCHEMA public TO {application};
            {defaults} GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {application};
            {defaults} GRANT USAGE, SELECT ON SEQUENCES TO {application};
            ALTER ROLE {application} IN DATABASE {database} SET statement_timeout =
            '{STATEMENT_TIMEOUT}'; ALTER ROLE {application} IN DATABASE {database} SET
            idle_in_transaction_session_timeout = '{IDLE_IN_TRANSACTION_TIMEOUT}';
        """)
    finally:
        await connection.close()


def _quoted(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'


def _url(
    admin_url: str, database: str, user: str | None = None, password: str | None = None
) -> str:
    parts = urlsplit(admin_url)
    place = parts.netloc.rpartition("@")[2]
    account = f"{quote(user)}:{quote(password or '')}" if user else parts.netloc.rpartition("@")[0]
    return urlunsplit(parts._replace(netloc=f"{account}@{place}", path=f"/{database}"))


def _random() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(24)).decode()
