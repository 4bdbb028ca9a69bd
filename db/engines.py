"""The engines of both databases and what each of their connections is told when it is made.

Only `db.session` works with them.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, Final
from uuid import uuid4

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

# For the poster, sign-ins and sign-ups; DATABASE_POOL_SIZE is for reading.
WRITING_CONNECTIONS: Final = 5
# Batches of other processes hold rows for milliseconds. Whoever holds one for longer is not one of
# us, and must not keep the neighbours waiting.
LOCK_TIMEOUT_MS = 1_000

# The service finds rows by their keys, and nothing else. The planner would read whole tables while
# they are small and keep such a plan as they grow; and it would plan each batch anew.
BY_KEYS: Final = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
}
# For whoever looks at whole tables, proving or migrating: PostgreSQL's own choice, but for loops.
# While it has no statistics, as of a young ledger, it pairs each row of one table with each of
# another: of 47,000 transactions a proof took minutes instead of 0.06 s.
FREE_PLANS: Final = (
    "SET LOCAL enable_nestloop = off",
    "SET LOCAL plan_cache_mode = auto",
    "SET LOCAL enable_seqscan = on",
    "SET LOCAL enable_hashjoin = on",
    "SET LOCAL enable_mergejoin = on",
)

SQLITE_BUSY_TIMEOUT_MS = 5_000
SQLITE_CHECKPOINT_PAGES = 4_000


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseOptions:
    """How to reach the database and how long to wait for it."""

    url: str
    pool_size: int = 10
    pool_timeout_seconds: float = 1.5
    command_timeout_seconds: float = 5
    pgbouncer: bool = False


def create_postgresql_engine(
    options: DatabaseOptions, pool_size: int, *, read_only: bool = False
) -> AsyncEngine:
    """Make an engine whose waits are all bounded and whose statements find rows by their keys."""
    arguments: dict[str, Any] = {
        "timeout": 2,
        "command_timeout": options.command_timeout_seconds,
    }
    if options.pgbouncer:
        # In transaction pooling a statement prepared on one server connection is looked for on
        # another, and pgbouncer refuses start-up settings it does not know.
        arguments |= {
            "statement_cache_size": 0,
            "prepared_statement_cache_size": 0,
            "prepared_statement_name_func": lambda: f"wallet_{uuid4().hex}",
        }
    else:
        milliseconds = int(options.command_timeout_seconds * 1000)
        arguments["server_settings"] = {
            "application_name": "wallet",
            "statement_timeout": str(milliseconds),
            "lock_timeout": str(LOCK_TIMEOUT_MS),
            "idle_in_transaction_session_timeout": str(milliseconds * 2),
        }
        arguments["server_settings"] |= BY_KEYS
        if read_only:
            arguments["server_settings"]["default_transaction_read_only"] = "on"
    return create_async_engine(
        options.url,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=options.pool_timeout_seconds,
        pool_use_lifo=True,
        pool_recycle=1800,
        # Parameters are people's data; an error message must not carry them into the log.
        hide_parameters=True,
        connect_args=arguments,
    )


def create_sqlite_engines(options: DatabaseOptions) -> tuple[AsyncEngine, AsyncEngine]:
    """Make the writing engine, of one connection, and the reading one.

    Neither begins a transaction by itself: `db.session` says how. Within a process the writers wait
    for the one connection in turn, which is fair; SQLite's own waiting is not.
    """
    arguments: dict[str, Any] = {
        "hide_parameters": True,
        "max_overflow": 0,
        # It would roll back nothing, nearly each time, and wait for a thread: see `db.session`.
        "pool_reset_on_return": None,
    }
    writer = create_async_engine(
        options.url, pool_size=1, pool_timeout=SQLITE_BUSY_TIMEOUT_MS / 1000, **arguments
    )
    reader = create_async_engine(
        options.url,
        pool_size=options.pool_size,
        pool_timeout=options.pool_timeout_seconds,
        **arguments,
    )
    event.listen(writer.sync_engine, "connect", partial(_prepare_sqlite, False))
    event.listen(reader.sync_engine, "connect", partial(_prepare_sqlite, True))
    return writer, reader


def _prepare_sqlite(query_only: bool, connection: Any, _record: object) -> None:
    """Make a new SQLite connection durable, concurrent and strict about references."""
    # The driver would begin lazily, before the first write: too late to be alone, since a read
    # lock that turns into a write lock fails at once instead of waiting.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in (
        f"busy_timeout = {SQLITE_BUSY_TIMEOUT_MS}",
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
        f"wal_autocheckpoint = {SQLITE_CHECKPOINT_PAGES}",
        f"query_only = {int(query_only)}",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
