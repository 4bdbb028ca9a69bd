"""Transactions and looks of batches, on the connections of `db.lean`.

Only `db.session` opens them.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import aiosqlite
import asyncpg

from db.lean import Around, LeanConnection, PostgresqlConnection, SqliteConnection
from db.lender import Lender, Lent


class LeanTransactions:
    """Transactions that begin with the statement `begin`, a batch in each.

    A batch that ends while the next one waits begins its transaction in the same breath, where
    the engine can (`COMMIT AND CHAIN`): the next one has the connection, and need not wait for its
    BEGIN.
    """

    def __init__(self, lender: Lender, begin: str):
        self._lender = lender
        self._begin = begin
        self._begun: Lent | None = None

    @asynccontextmanager
    async def transaction(
        self,
        around: Around,
        *,
        lock_timeout_ms: int | None = None,
        another: Callable[[], bool] = lambda: False,
    ) -> AsyncIterator[LeanConnection]:
        """Commit when the block ends, roll back if it raises; see `Database.lean_transaction`."""
        lent, begun = await self._take()
        connection, chain = _connection(lent, around), False
        try:
            if not begun:
                await connection.begin(self._begin)
            if lock_timeout_ms is not None and connection.dialect_name == "postgresql":
                await connection.execute(f"SET LOCAL lock_timeout = {lock_timeout_ms:d}", ())
            yield connection
            chain = connection.can_chain and connection.is_fit and another() and lent.may_go_on()
            await connection.commit("COMMIT AND CHAIN" if chain else "COMMIT")
        except BaseException:
            chain = False
            # One that does not even answer this is not lent again.
            with suppress(Exception):
                await connection.roll_back()
            raise
        finally:
            if chain:
                self._begun = lent
            else:
                self._lender.give_back(lent, fit=connection.is_fit)

    async def stand_in_line(self, around: Around) -> None:
        """Begin the next transaction and wait for its turn; see `Database.stand_in_line`."""
        lent, begun = await self._take()
        # Of SQLite's writers each stands in line from its BEGIN on.
        assert not isinstance(lent.driver, aiosqlite.Connection)  # noqa: S101 - see Database
        connection, in_line = PostgresqlConnection(lent.driver, around), False
        try:
            if not begun:
                await connection.begin(self._begin)
            await connection.stand_in_line()
            in_line = True
        except asyncpg.PostgresError:
            with suppress(Exception):
                await connection.roll_back()
            raise
        finally:
            if in_line:
                self._begun = lent
            else:
                self._lender.give_back(lent, fit=connection.is_fit)

    async def _take(self) -> tuple[Lent, bool]:
        """Return a connection, and whether a transaction is begun there."""
        begun = self._take_begun()
        return begun or await self._lender.take(), begun is not None

    def close(self) -> None:
        """Give up a transaction that was begun for somebody who never came."""
        lent, self._begun = self._begun, None
        if lent is not None:
            self._lender.give_back(lent, fit=False)

    def _take_begun(self) -> Lent | None:
        """Return the connection that is in a transaction already, if it still is."""
        lent, self._begun = self._begun, None
        if lent is None or (not lent.is_closed() and lent.is_in_transaction()):
            return lent
        # Without its transaction each statement of a batch would be committed by itself.
        self._lender.give_back(lent, fit=False)
        return None


@asynccontextmanager
async def lean_statements(lender: Lender, around: Around) -> AsyncIterator[LeanConnection]:
    """Run statements each by itself."""
    lent = await lender.take()
    connection = _connection(lent, around)
    try:
        yield connection
    finally:
        lender.give_back(lent, fit=connection.is_fit)


def _connection(lent: Lent, around: Around) -> LeanConnection:
    if isinstance(lent.driver, aiosqlite.Connection):
        return SqliteConnection(lent.driver, around)
    return PostgresqlConnection(lent.driver, around)
