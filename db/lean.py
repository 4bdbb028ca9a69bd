"""Connections for what is done many times a second, batches and pages, without a session's layers.

On PostgreSQL they speak to the driver: the same statements take it a third of a session's time. On
SQLite, whose time goes elsewhere, they are SQLAlchemy's. Pools, and so limits and settings, are
those of the sessions. Only `db.session` hands them out.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, suppress
from functools import lru_cache
from typing import Any, Final, Protocol, TypeVar

import asyncpg
from sqlalchemy import Executable
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.sql.compiler import SQLCompiler

from db.lender import Lender, Lent

Answer = TypeVar("Answer")
Row = Sequence[Any]
# Is told the text of each statement, and lasts as long as that runs.
Around = Callable[[str], AbstractContextManager[object]]

# More than there are statements that are selected this way: the look of a batch is one for each
# set of ways in which its accounts are named, and a history's one for each type and its times. Some
# fifty of either can come about.
COMPILED_LIMIT: Final = 256

_DIALECT: Final[Dialect] = postgresql.asyncpg.dialect()  # type: ignore[no-untyped-call]  # its own


class LeanConnection(Protocol):
    """A connection of one of the two engines. Its methods raise what the driver raises."""

    @property
    def dialect_name(self) -> str:
        """`postgresql` or `sqlite`."""

    async def select(self, statement: Executable, parameters: Mapping[str, Any]) -> Sequence[Any]:
        """Return the rows of a statement that is made once and kept; columns by position."""

    async def execute(self, statement: str, rows: Sequence[Row]) -> None:
        """Run a statement, in the driver's own words, once for each row of parameters."""


class _Postgresql:
    dialect_name = "postgresql"

    def __init__(self, driver: Any, around: Around):
        self._driver: asyncpg.Connection[asyncpg.Record] = driver
        self._around = around
        self._unanswered = 0

    async def select(self, statement: Executable, parameters: Mapping[str, Any]) -> Sequence[Any]:
        compiled = _compiled(statement)
        with self._around(compiled.text):
            asked = self._driver.fetch(compiled.text, *compiled.values(parameters))
            return await self._answer(asked)

    async def execute(self, statement: str, rows: Sequence[Row]) -> None:
        with self._around(statement):
            for row in rows:
                await self._answer(self._driver.fetch(statement, *row))

    async def control(self, statement: str) -> str:
        """Run a statement that begins or ends something; return what PostgreSQL says it did."""
        with self._around(statement):
            return await self._answer(self._driver.execute(statement))

    @property
    def is_fit(self) -> bool:
        """Whether the server answered all that it was asked, be it by refusing it.

        What was cut off stays without an answer, and may be going on there still.
        """
        return self._unanswered == 0

    async def _answer(self, asked: Awaitable[Answer]) -> Answer:
        self._unanswered += 1
        try:
            answer = await asked
        except asyncpg.PostgresError:
            self._unanswered -= 1
            raise
        self._unanswered -= 1
        return answer


class _Sqlite:
    dialect_name = "sqlite"

    def __init__(self, connection: AsyncConnection):
        self._connection = connection

    async def select(self, statement: Executable, parameters: Mapping[str, Any]) -> Sequence[Any]:
        return (await self._connection.execute(statement, parameters)).all()

    async def execute(self, statement: str, rows: Sequence[Row]) -> None:
        await self._connection.exec_driver_sql(statement, [tuple(row) for row in rows])


class PostgresqlTransactions:
    """Transactions that begin with the statement `begin`, a batch in each.

    A batch that ends while the next one waits begins its transaction in the same breath (`COMMIT
    AND CHAIN`): the next one has the connection, and need not wait for its BEGIN.
    """

    def __init__(self, lender: Lender, begin: str = "BEGIN"):
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
        lent = self._take_begun()
        begun, chain = lent is not None, False
        lent = lent or await self._lender.take()
        connection = _Postgresql(lent.driver, around)
        try:
            if not begun:
                await connection.control(self._begin)
            if lock_timeout_ms is not None:
                await connection.control(f"SET LOCAL lock_timeout = {lock_timeout_ms:d}")
            yield connection
            chain = connection.is_fit and another() and lent.may_go_on()
            ended = await connection.control("COMMIT AND CHAIN" if chain else "COMMIT")
            if ended != "COMMIT":
                # PostgreSQL does not mind being asked to commit what has failed.
                raise asyncpg.InFailedSQLTransactionError("COMMIT rolled back")
        except BaseException:
            chain = False
            # One that does not even answer this is not lent again.
            with suppress(Exception):
                await connection.control("ROLLBACK")
            raise
        finally:
            if chain:
                self._begun = lent
            else:
                self._lender.give_back(lent, fit=connection.is_fit)

    def close(self) -> None:
        """Give up a transaction that was begun for somebody who never came."""
        lent, self._begun = self._begun, None
        if lent is not None:
            self._lender.give_back(lent, fit=False)

    def _take_begun(self) -> Lent | None:
        """Return the connection that is in a transaction already, if it still is."""
        lent, self._begun = self._begun, None
        if lent is None or (not lent.driver.is_closed() and lent.driver.is_in_transaction()):
            return lent
        # Without its transaction each statement of a batch would be committed by itself.
        self._lender.give_back(lent, fit=False)
        return None


@asynccontextmanager
async def postgresql_statements(lender: Lender, around: Around) -> AsyncIterator[LeanConnection]:
    """Run statements each by itself."""
    lent = await lender.take()
    connection = _Postgresql(lent.driver, around)
    try:
        yield connection
    finally:
        lender.give_back(lent, fit=connection.is_fit)


@asynccontextmanager
async def sqlite_transaction(engine: AsyncEngine) -> AsyncIterator[LeanConnection]:
    """Begin as the engine does, commit when the block ends, roll back if it raises."""
    async with engine.begin() as connection:
        yield _Sqlite(connection)


@asynccontextmanager
async def sqlite_statements(engine: AsyncEngine) -> AsyncIterator[LeanConnection]:
    """Run statements each by itself."""
    async with engine.connect() as connection:
        yield _Sqlite(connection)


class _Compiled:
    """A statement in the driver's words, and how to put its parameters in order."""

    def __init__(self, statement: Any):
        compiled: SQLCompiler = statement.compile(dialect=_DIALECT)
        self.text = str(compiled)
        self._names = compiled.positiontup or ()
        self._fixed = compiled.params
        self._processors = {
            name: processor
            for name, parameter in compiled.binds.items()
            if (processor := parameter.type.dialect_impl(_DIALECT).bind_processor(_DIALECT))
        }

    def values(self, parameters: Mapping[str, Any]) -> list[Any]:
        """Return the values in the statement's order."""
        return [self._value(name, parameters) for name in self._names]

    def _value(self, name: str, parameters: Mapping[str, Any]) -> Any:
        value = parameters[name] if name in parameters else self._fixed[name]
        processor = self._processors.get(name)
        return processor(value) if processor else value


@lru_cache(maxsize=COMPILED_LIMIT)
def _compiled(statement: Executable) -> _Compiled:
    return _Compiled(statement)
