"""Proves that what was answered is what happened: a wrong run has no speed."""

import asyncio
import time
from dataclasses import dataclass
from typing import Final

from sqlalchemy import func, select, text

from bench.load import Sent
from core.verification import verify_rules
from db.models import Tables
from db.session import Database, DatabaseOptions

LOOK_SECONDS: Final = 0.15
SAME_LOOKS: Final = 3
SETTLED_WITHIN_SECONDS: Final = 30

# Those who wait for a disk or a lock are at work as well.
_AT_WORK: Final = text(
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    " AND pid <> pg_backend_pid() AND state = 'active'"
)


@dataclass(frozen=True, slots=True)
class Mark:
    """Where the transactions ended at some time: those with a higher id came later."""

    last_transaction_id: int


@dataclass(frozen=True, slots=True)
class _Look:
    """The last transaction, how many came since the mark, and whether others are at work."""

    last_transaction_id: int
    count: int
    at_work: bool


class Books:
    """The transactions of one database, counted; nobody else may write meanwhile."""

    def __init__(self, options: DatabaseOptions):
        self._options = options

    def mark(self) -> Mark:
        """Return where the transactions end, once no more of them come."""
        mark = Mark(0)
        while self.count_since(mark):
            mark = Mark(asyncio.run(self._look(mark)).last_transaction_id)
        return mark

    def count_since(self, mark: Mark) -> int:
        """Count the transactions since then, once no more of them come.

        Whoever stops sending may leave requests behind that are still being settled, and a disk
        that stands still for a second does not mean that none are.
        """
        deadline = time.monotonic() + SETTLED_WITHIN_SECONDS
        looks: list[_Look] = []
        while True:
            looks.append(asyncio.run(self._look(mark)))
            last = looks[-1]
            settled = looks[-SAME_LOOKS:] == [last] * SAME_LOOKS and not last.at_work
            if settled or time.monotonic() > deadline:
                return last.count
            time.sleep(LOOK_SECONDS)

    def broken_rules(self) -> list[str]:
        """Return the names of the rules of money that do not hold."""
        return asyncio.run(self._broken_rules())

    async def _look(self, mark: Mark) -> _Look:
        ids = Tables.transactions.c.id
        after_id = mark.last_transaction_id
        database = Database(self._options)
        try:
            async with database.reading() as session:
                connection = await session.connection()
                # Before the transactions: what ends in between is seen by its transaction.
                at_work = 0
                if database.dialect_name == "postgresql":
                    at_work = (await connection.execute(_AT_WORK)).scalar_one()
                statement = select(func.max(ids), func.count()).where(ids > after_id)
                last, count = (await connection.execute(statement)).one()
        finally:
            await database.close()
        return _Look(last or after_id, count, at_work > 0)

    async def _broken_rules(self) -> list[str]:
        database = Database(self._options)
        try:
            return [result.rule.name async for result in verify_rules(database) if not result.holds]
        finally:
            await database.close()


def disproof(sent: Sent, *, written: int, each_writes: bool) -> str:
    """Say what is wrong with a run, nothing if nothing is.

    `written` is how many transactions the database got, `each_writes` whether each request that
    was answered stands for one of them.
    """
    if sent.failures:
        failures = ", ".join(f"{count} {what}" for what, count in sorted(sent.failures.items()))
        return f"Not every answer was a success: {failures}."
    if not sent.answered:
        return "There was no answer at all."
    expected = sent.answered if each_writes else 0
    most = expected + (sent.unheard if each_writes else 0)
    if not expected <= written <= most:
        range_of = f"{expected}" if expected == most else f"{expected} to {most}"
        return f"The database has {written} new transactions; the answers account for {range_of}."
    return ""
