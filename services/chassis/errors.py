"""Two roots: what can never work (`Rejected`) and what may work later (`Unavailable`).

Anything else is a defect: loud in the log, counted, and the event that met it is parked.
"""

import asyncpg
from aiokafka.errors import KafkaError


class Rejected(Exception):
    """Permanent: the input can never be handled as it is. Parked, or answered with a 4xx."""


class Unavailable(Exception):
    """Transient: a server is away or too slow. Tried again with backoff, never parked."""


# What the drivers raise while a server is down, restarting or cutting connections.
TRANSIENT = (
    Unavailable,
    OSError,
    TimeoutError,
    KafkaError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.TransactionRollbackError,
    asyncpg.ReadOnlySQLTransactionError,
    # "Not accepting connections": a server that starts up or shuts down.
    asyncpg.ObjectNotInPrerequisiteStateError,
    # A newer release changed a table meanwhile: the driver asks for the columns anew.
    asyncpg.InvalidCachedStatementError,
    # A password or a database is being replaced: whoever does that is not done yet.
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
)


def is_transient(error: BaseException) -> bool:
    """Whether trying the same again can help: a server is away, and nothing is wrong with us."""
    return isinstance(error, TRANSIENT) and not is_defect(error)


def is_defect(error: BaseException) -> bool:
    """Whether an error of one of the transient classes is a defect after all.

    The driver raises a wrong argument as an InterfaceError that is a ValueError too; it would stay
    wrong however often it is tried.
    """
    return isinstance(error, ValueError)
