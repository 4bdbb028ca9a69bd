"""The boundary of a transaction: the only place that begins and commits.

`Database.transaction()` is for writing: one use case, one transaction, committed when the block
ends and before anyone is answered. `Database.reading()` and `Database.snapshot()` are for looking:
they can never write. What is done often is done without a session, which costs more than most of
our statements do: batches by `lean_transaction()` and `lean_reading()`, pages by `lean_turn()`.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Any, NamedTuple, cast

from sqlalchemy import Connection, event
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import PoolResetState, QueuePool
from sqlmodel.ext.asyncio.session import AsyncSession

from db.batches import LeanTransactions, lean_statements
from db.engines import (
    FREE_PLANS,
    WRITING_CONNECTIONS,
    DatabaseOptions,
    create_postgresql_engine,
    create_sqlite_engines,
)
from db.lean import Around, LeanConnection
from db.lender import Lender

# What other modules take from here although it is defined elsewhere.
__all__ = ("Database", "DatabaseOptions", "PoolUse")

# Of those for reading, left for what is looked up in batches, of which few run at a time: whether a
# sign-in lasts is asked for every request, however many read.
BATCHES_CONNECTIONS = 2


class PoolUse(NamedTuple):
    """How many connections of a pool are in use, and how many there can be."""

    in_use: int
    limit: int


class Database:
    """One process's access to its database."""

    def __init__(self, options: DatabaseOptions):
        # Lasts as long as a statement that no engine tells of: see `db.lean`.
        self.around_lean: Around = nullcontext
        is_sqlite = make_url(options.url).get_backend_name() == "sqlite"
        self._pgbouncer = options.pgbouncer and not is_sqlite
        self._turn_timeout_seconds = options.pool_timeout_seconds
        # The pool's own queue lets whoever comes later overtake, so that some would wait in vain.
        turns = max(1, options.pool_size - BATCHES_CONNECTIONS)
        self._turns = asyncio.Semaphore(turns)
        if is_sqlite:
            self.engine, reader = create_sqlite_engines(options)
            self._reader, self._snapshots = reader, reader.execution_options()
            # SQLite has no row locks (`FOR UPDATE` is silently nothing) and one writer at a time:
            # whoever writes takes the write lock before reading what it decides on. A reader's
            # transactions are snapshots; reading alone needs none.
            begin, keep = "BEGIN IMMEDIATE", 0
            _begin_by(self.engine, begin)
            _begin_by(self._snapshots, "BEGIN")
            for engine in (self.engine, reader):
                event.listen(engine.sync_engine, "reset", _leave_nothing)
        else:
            begin, keep = "BEGIN", 1
            # Two pools: however many read, and however slowly, postings find a connection.
            self.engine = create_postgresql_engine(options, WRITING_CONNECTIONS)
            self._reader, self._snapshots = _postgresql_readers(options)
        self.dialect_name = self.engine.dialect.name
        self._lenders = {
            "writers": Lender(self.engine, keep),
            "readers": Lender(self._reader, keep=max(0, options.pool_size - turns)),
        }
        self._batches = LeanTransactions(self._lenders["writers"], begin)
        # Keeps none: sessions take their turns in the same pool.
        self._lender_of_turns = Lender(self._reader, keep=0)

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
        return self._batches.transaction(
            self.around_lean, lock_timeout_ms=lock_timeout_ms, another=another
        )

    async def stand_in_line(self) -> None:
        """Begin the next `lean_transaction` and wait for its turn.

        Turns are among all processes that stand in line; whoever does not waits for none. A turn
        ends with its transaction. Raises as `transaction` does; then nothing is begun.
        """
        # SQLite's writers do, from BEGIN on.
        if self.dialect_name != "sqlite":
            await self._batches.stand_in_line(self.around_lean)

    def lean_reading(self) -> AbstractAsyncContextManager[LeanConnection]:
        """Open a connection for a batch's look: each statement by itself, and without a turn."""
        return self._looking(self._lenders["readers"])

    @asynccontextmanager
    async def lean_turn(self) -> AsyncIterator[LeanConnection]:
        """Open what `lean_reading` does for one caller's look, in turn as `reading` does."""
        async with self._turn_to_read(), self._looking(self._lender_of_turns) as connection:
            yield connection

    def _looking(self, lender: Lender) -> AbstractAsyncContextManager[LeanConnection]:
        if self._pgbouncer:
            # Outside of a transaction it may answer each message from another connection.
            looks = LeanTransactions(lender, "BEGIN READ ONLY")
            return looks.transaction(self.around_lean)
        return lean_statements(lender, self.around_lean)

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


def _postgresql_readers(options: DatabaseOptions) -> tuple[AsyncEngine, AsyncEngine]:
    """Make the engine for reading, and the same for snapshots."""
    reader = create_postgresql_engine(options, options.pool_size, read_only=True)
    read_only = {"postgresql_readonly": True}
    snapshots = reader.execution_options(isolation_level="REPEATABLE READ", **read_only)
    if options.pgbouncer:
        # It lends the same server connections to writers: there only a transaction can say that
        # it reads.
        return reader.execution_options(**read_only), snapshots
    return reader.execution_options(isolation_level="AUTOCOMMIT"), snapshots


def _begin_by(engine: AsyncEngine, statement: str) -> None:
    """Have SQLite's transactions begin by a statement: its driver would begin them by none."""

    def begin(connection: Connection) -> None:
        connection.exec_driver_sql(statement)

    event.listen(engine.sync_engine, "begin", begin)


def _leave_nothing(connection: Any, _record: object, state: PoolResetState) -> None:
    """Roll back what is still open when a connection goes back: its COMMIT may have failed."""
    if state.asyncio_safe and connection.driver_connection.in_transaction:
        connection.rollback()
