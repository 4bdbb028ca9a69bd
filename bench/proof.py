"""Proves that what was answered is what happened: a wrong run has no speed."""

import asyncio
import time
from dataclasses import dataclass
from typing import Final

from sqlalchemy import func, select

from bench.load import Sent
from core.verification import verify_rules
from db.models import Tables
from db.session import Database, DatabaseOptions

LOOK_SECONDS: Final = 0.15
SAME_LOOKS: Final = 3
SETTLED_WITHIN_SECONDS: Final = 30


@dataclass(frozen=True, slots=True)
class Mark:
    """Where the transactions ended at some time: those with a higher id came later."""

    last_transaction_id: int


class Books:
    """The transactions of one database, counted; nobody else may write meanwhile."""

    def __init__(self, options: DatabaseOptions):
        self._options = options

    def mark(self) -> Mark:
        """Return where the transactions end, once no more of them come."""
        mark = Mark(0)
        while self.count_since(mark):
            mark = Mark(asyncio.run(self._last_and_count(mark.last_transaction_id))[0])
        return mark

    def count_since(self, mark: Mark) -> int:
        """Count the transactions since then, once no more of them come.

        Whoever stops sending may leave requests behind that are still being settled.
        """
        deadline = time.monotonic() + SETTLED_WITHIN_SECONDS
        counts: list[int] = []
        while True:
            _, count = asyncio.run(self._last_and_count(mark.last_transaction_id))
            counts.append(count)
            settled = counts[-SAME_LOOKS:] == [count] * SAME_LOOKS
            if settled or time.monotonic() > deadline:
                return count
            time.sleep(LOOK_SECONDS)

    def broken_rules(self) -> list[str]:
        """Return the names of the rules of money that do not hold."""
        return asyncio.run(self._broken_rules())

    async def _last_and_count(self, after_id: int) -> tuple[int, int]:
        ids = Tables.transactions.c.id
        database = Database(self._options)
        try:
            async with database.reading() as session:
                connection = await session.connection()
                statement = select(func.max(ids), func.count()).where(ids > after_id)
                last, count = (await connection.execute(statement)).one()
        finally:
            await database.close()
        return last or after_id, count

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
