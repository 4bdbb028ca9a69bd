"""Connections for what is done many times a second, batches and pages, without a session's layers.

They speak to the driver: the same statements take it a third of a session's time. Pools, and so
limits and settings, are those of the sessions. `db.batches` opens them.
"""

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, ClassVar, Final, TypeVar

import aiosqlite
import asyncpg
from sqlalchemy import SelectBase
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine.interfaces import Dialect

from db.compiled import compiled_for

Answer = TypeVar("Answer")
# Is told the text of each statement, and lasts as long as that runs.
Around = Callable[[str], AbstractContextManager[object]]
# A statement in the driver's words, and its values in their order.
_Said = tuple[str, Sequence[Any]]

_POSTGRESQL: Final[Dialect] = postgresql.asyncpg.dialect()  # type: ignore[no-untyped-call]  # its own
_SQLITE: Final[Dialect] = sqlite.aiosqlite.dialect()
# The number is "wallet" in ASCII.
TURN: Final = "SELECT FROM pg_advisory_xact_lock(131277310780788)"


class LeanConnection(ABC):
    """A connection of one of the two engines. Its methods raise what the driver raises.

    `dialect_name` is `postgresql` or `sqlite`. `can_chain` is whether a commit can begin the next
    transaction.
    """

    dialect_name: ClassVar[str]
    can_chain: ClassVar[bool]

    def __init__(self, around: Around):
        self._around = around
        self._unanswered = 0

    @abstractmethod
    async def select(self, statement: SelectBase, parameters: Mapping[str, Any]) -> Sequence[Any]:
        """Return the rows of a statement that is made once and kept; columns by position."""

    @abstractmethod
    async def execute(self, statement: str, values: Sequence[Any]) -> None:
        """Run a statement in the driver's own words, its values in their order."""

    @abstractmethod
    async def begin(self, statement: str) -> None:
        """Run a statement that begins a transaction."""

    @abstractmethod
    async def commit(self, statement: str) -> None:
        """Run a statement that commits. Raises also when it did not."""

    @abstractmethod
    async def roll_back(self) -> None:
        """Undo what was begun, if anything was."""

    @property
    def is_fit(self) -> bool:
        """Whether the database answered all that it was asked, be it by refusing it.

        What was cut off stays without an answer, and may be going on there still.
        """
        return self._unanswered == 0

    async def _answer(self, asked: Awaitable[Answer]) -> Answer:
        self._unanswered += 1
        try:
            answer = await asked
        except (asyncpg.PostgresError, sqlite3.Error):
            self._unanswered -= 1
            raise
        self._unanswered -= 1
        return answer


class PostgresqlConnection(LeanConnection):
    """Says each statement when it is asked to."""

    dialect_name = "postgresql"
    can_chain = True

    def __init__(self, driver: "asyncpg.Connection[asyncpg.Record]", around: Around):
        super().__init__(around)
        self._driver = driver

    async def select(self, statement: SelectBase, parameters: Mapping[str, Any]) -> Sequence[Any]:
        compiled = compiled_for(statement, _POSTGRESQL)
        with self._around(compiled.text):
            asked = self._driver.fetch(compiled.text, *compiled.values(parameters))
            return await self._answer(asked)

    async def execute(self, statement: str, values: Sequence[Any]) -> None:
        with self._around(statement):
            await self._answer(self._driver.fetch(statement, *values))

    async def begin(self, statement: str) -> None:
        await self._control(statement)

    async def stand_in_line(self) -> None:
        """Wait for this transaction's turn, which ends with it."""
        await self._control(TURN)

    async def roll_back(self) -> None:
        await self._control("ROLLBACK")

    async def commit(self, statement: str) -> None:
        if await self._control(statement) != "COMMIT":
            # PostgreSQL does not mind being asked to commit what has failed.
            raise asyncpg.InFailedSQLTransactionError("COMMIT rolled back")

    async def _control(self, statement: str) -> str:
        """Run a statement without parameters; return what PostgreSQL says it did."""
        with self._around(statement):
            return await self._answer(self._driver.execute(statement))


class SqliteConnection(LeanConnection):
    """Says nothing within a transaction before it needs an answer: then all of it at once.

    Each turn of the connection's thread waits for the event loop, and the loop for the thread.
    """

    dialect_name = "sqlite"
    # Between two transactions of ours those who write from elsewhere have their turn.
    can_chain = False

    def __init__(self, driver: aiosqlite.Connection, around: Around):
        super().__init__(around)
        self._driver = driver
        self._unsaid: list[_Said] = []
        self._begun = self._failed = False

    async def select(self, statement: SelectBase, parameters: Mapping[str, Any]) -> Sequence[Any]:
        compiled = compiled_for(statement, _SQLITE)
        return compiled.rows(await self._say((compiled.text, compiled.values(parameters))))

    async def execute(self, statement: str, values: Sequence[Any]) -> None:
        if self._begun:
            self._unsaid.append((statement, values))
        else:
            await self._say((statement, values))

    async def begin(self, statement: str) -> None:
        self._unsaid.append((statement, ()))
        self._begun = True

    async def commit(self, statement: str) -> None:
        if self._failed:
            # SQLite itself would commit what went before, and nothing of what came after.
            raise sqlite3.OperationalError("A statement of this transaction failed.")
        await self._say((statement, ()))

    async def roll_back(self) -> None:
        self._unsaid.clear()
        # One that was cut off has to wait for what goes on there; its connection is given up.
        if self.is_fit and self._driver.in_transaction:
            await self._say(("ROLLBACK", ()))

    async def _say(self, last: _Said) -> Sequence[tuple[Any, ...]]:
        statements, self._unsaid = [*self._unsaid, last], []
        # The driver's public methods run one statement in each turn.
        in_thread: Any = self._driver._execute
        asked: Awaitable[Sequence[tuple[Any, ...]]] = in_thread(
            _run, self._driver._conn, statements
        )
        with _in_order([self._around(statement) for statement, _ in statements]):
            try:
                return await self._answer(asked)
            except BaseException:
                self._failed = True
                raise


@contextmanager
def _in_order(contexts: Sequence[AbstractContextManager[object]]) -> Iterator[None]:
    """Enter these and leave them in the same order: a trace shows their statements as they were."""
    for context in contexts:
        context.__enter__()
    try:
        yield
    except BaseException as error:
        for context in contexts:
            context.__exit__(type(error), error, error.__traceback__)
        raise
    for context in contexts:
        context.__exit__(None, None, None)


def _run(driver: sqlite3.Connection, statements: Sequence[_Said]) -> Sequence[tuple[Any, ...]]:
    """Run statements one after another in the connection's thread; return the last one's rows."""
    rows: Sequence[tuple[Any, ...]] = ()
    for statement, values in statements:
        rows = driver.execute(statement, values).fetchall()
    return rows
