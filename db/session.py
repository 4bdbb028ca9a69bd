"""Engines and the boundary of a transaction: the only place that begins and commits.

`Database.transaction()` is for writing: one use case, one transaction, committed when the block
ends and before anyone is answered. `Database.reading()` and `Database.snapshot()` are for looking:
they can never write. What is done in batches has `lean_transaction()` and `lean_reading()`, which
are the same without a session.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, NamedTuple, cast
from uuid import uuid4

from sqlalchemy import Connection, event
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import QueuePool
from sqlmodel.ext.asyncio.session import AsyncSession

from db.lean import (
    Around,
    LeanConnection,
    PostgresqlTransactions,
    postgresql_statements,
    sqlite_statements,
    sqlite_transaction,
)
from db.lender import Lender

# For the poster, sign-ins and sign-ups; DATABASE_POOL_SIZE is for reading.
WRITING_CONNECTIONS = 5
# Of those for reading, kept for what is looked up in batches, of which few run at a time: whether a
# sign-in lasts is asked for every request, however many read.
BATCHES_CONNECTIONS = 2
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
# For whoever looks at whole tables, proving or migrating: PostgreSQL's own choice.
FREE_PLANS: Final = (
    "SET LOCAL plan_cache_mode = auto",
    "SET LOCAL enable_seqscan = on",
    "SET LOCAL enable_hashjoin = on",
    "SET LOCAL enable_mergejoin = on",
)

SQLITE_BUSY_TIMEOUT_MS = 5_000
SQLITE_CHECKPOINT_PAGES = 4_000


class PoolUse(NamedTuple):
    """How many connections of a pool are in use, and how many there can be."""

    in_use: int
    limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseOptions:
    """How to reach the database and how long to wait for it."""

    url: str
    pool_size: int = 10
    pool_timeout_seconds: float = 1.5
    command_timeout_seconds: float = 5
    pgbouncer: bool = False


class Database:
    """One process's access to its database."""

    def __init__(self, options: DatabaseOptions):
        # Lasts as long as a statement that no engine tells of: see `db.lean`.
        self.around_lean: Around = nullcontext
        self._pgbouncer = options.pgbouncer
        self._turn_timeout_seconds = options.pool_timeout_seconds
        # The pool's own queue lets whoever comes later overtake, so that some would wait in vain.
        turns = max(1, options.pool_size - BATCHES_CONNECTIONS)
        self._turns = asyncio.Semaphore(turns)
        if make_url(options.url).get_backend_name() == "sqlite":
            self.engine, reader = _create_sqlite_engines(options)
            self._reader, self._snapshots = reader, reader.execution_options()
            # Its transactions are snapshots; reading alone needs none.
            event.listen(self._snapshots.sync_engine, "begin", partial(_begin_sqlite, "BEGIN"))
        else:
            # Two pools: however many read, and however slowly, postings find a connection.
            self.engine = _create_postgresql_engine(options, WRITING_CONNECTIONS)
            reader = _create_postgresql_engine(options, options.pool_size, read_only=True)
            read_only = {"postgresql_readonly": True}
            self._snapshots = reader.execution_options(
                isolation_level="REPEATABLE READ", **read_only
            )
            # pgbouncer lends the same server connections to writers: there only a transaction can
            # say that it reads.
            self._reader = (
                reader.execution_options(**read_only)
                if options.pgbouncer
                else reader.execution_options(isolation_level="AUTOCOMMIT")
            )
        self.dialect_name = self.engine.dialect.name
        self._lenders = {
            "writers": Lender(self.engine, keep=1),
            "readers": Lender(self._reader, keep=max(0, options.pool_size - turns)),
        }
        self._batches = PostgresqlTransactions(self._lenders["writers"])
        self._looks = PostgresqlTransactions(self._lenders["readers"], "BEGIN READ ONLY")

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """Open the transaction of one use case; commit when the block ends, roll back if it raises.

        Raises what the driver raises; `db.faults.classify` says what that means.
        """
        async with AsyncSession(self.engine, expire_on_commit=False, autoflush=False) as session:
            yield session
            await session.commit()

    def lean_transaction(
        self, *, lock_timeout_ms: int | None = None, another: Callable[[], bool] = lambda: False
    ) -> AbstractAsyncContextManager[LeanConnection]:
        """Open the transaction of one batch; commit when the block ends, roll back if it raises.

        `lock_timeout_ms` is how long to wait for a row that somebody else holds; SQLite has no
        such rows. `another` is asked once, at the commit: whoever says yes opens the next
        transaction at once, and finds it begun. Raises as `transaction` does.
        """
        if self.dialect_name == "sqlite":
            return sqlite_transaction(self.engine)
        return self._batches.transaction(
            self.around_lean, lock_timeout_ms=lock_timeout_ms, another=another
        )

    def lean_reading(self) -> AbstractAsyncContextManager[LeanConnection]:
        """Open a connection that only looks, each statement by itself, as `reading` does."""
        if self.dialect_name == "sqlite":
            return sqlite_statements(self._reader)
        if self._pgbouncer:
            # Outside of a transaction it may answer each message from another connection.
            return self._looks.transaction(self.around_lean)
        return postgresql_statements(self._lenders["readers"], self.around_lean)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """Open a session that only looks, each statement by itself.

        Nothing is begun and nothing ended: one look is one round trip. Whoever comes first is first
        to look; raises TimeoutError for whom it takes too long.
        """
        async with (
            self._turn_to_read(),
            AsyncSession(self._reader, expire_on_commit=False, autoflush=False) as session,
        ):
            yield session

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[AsyncSession]:
        """Open a session that only looks, all of it at the database as it is at the first look."""
        async with (
            self._turn_to_read(),
            AsyncSession(self._snapshots, expire_on_commit=False) as session,
        ):
            if self.dialect_name == "postgresql":
                connection = await session.connection()
                for statement in FREE_PLANS:
                    await connection.exec_driver_sql(statement)
            yield session

    @asynccontextmanager
    async def _turn_to_read(self) -> AsyncIterator[None]:
        async with asyncio.timeout(self._turn_timeout_seconds):
            await self._turns.acquire()
        try:
            yield
        finally:
            self._turns.release()

    @property
    def engines(self) -> dict[str, AsyncEngine]:
        """Both engines by what their connections do: `writers` and `readers`."""
        return {"writers": self.engine, "readers": self._reader}

    def pool_use(self) -> dict[str, PoolUse]:
        """Return how much of each pool is in use; asks nothing of the database."""
        pools = {name: cast(QueuePool, engine.pool) for name, engine in self.engines.items()}
        return {
            name: PoolUse(pool.checkedout() - self._lenders[name].kept, pool.size())
            for name, pool in pools.items()
        }

    async def close(self) -> None:
        """Close every connection."""
        self._batches.close()
        for lender in self._lenders.values():
            lender.close()
        for engine in self.engines.values():
            await engine.dispose()


def _create_postgresql_engine(
    options: DatabaseOptions, pool_size: int, *, read_only: bool = False
) -> AsyncEngine:
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


def _create_sqlite_engines(options: DatabaseOptions) -> tuple[AsyncEngine, AsyncEngine]:
    """Make the writing engine, of one connection, and the reading one.

    SQLite has no row locks (`FOR UPDATE` is silently nothing) and one writer at a time: whoever
    writes takes the write lock before reading what it decides on. Within a process the writers
    wait for the one connection in turn, which is fair; SQLite's own waiting is not.
    """
    writer = create_async_engine(
        options.url,
        pool_size=1,
        hide_parameters=True,
        max_overflow=0,
        pool_timeout=SQLITE_BUSY_TIMEOUT_MS / 1000,
    )
    reader = create_async_engine(
        options.url,
        hide_parameters=True,
        pool_size=options.pool_size,
        max_overflow=0,
        pool_timeout=options.pool_timeout_seconds,
    )
    event.listen(writer.sync_engine, "connect", partial(_prepare_sqlite, False))
    event.listen(reader.sync_engine, "connect", partial(_prepare_sqlite, True))
    event.listen(writer.sync_engine, "begin", partial(_begin_sqlite, "BEGIN IMMEDIATE"))
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


def _begin_sqlite(statement: str, connection: Connection) -> None:
    connection.exec_driver_sql(statement)
