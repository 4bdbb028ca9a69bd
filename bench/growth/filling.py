"""Fills a ledger in which nothing happened yet with transfers, thousands in one statement.

The only code that writes money past `core.ledger`, and only for measuring. What it leaves is what
posting would have left; whoever fills has the rules of money proven afterwards (`bench.proof`).
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, Self

import asyncpg
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from bench.growth.statements import chunk_statements
from bench.people import OPENING_KEY
from db.models import Tables
from db.sequences import new_ids
from db.session import Database

CHUNK_TRANSFERS: Final = 20_000
ENTRIES_OF_A_TRANSFER: Final = 2
FEWEST_PEOPLE: Final = 3


class NotFillableError(Exception):
    """The ledger is not one to fill. Its text is a sentence for whoever measures."""


class Filling:
    """How far a ledger is filled, also when it is copied to another database meanwhile.

    Nobody else may write to it between `of` and the last `fill_to`.
    """

    def __init__(self, *, people: int, entries: int):
        self.entries = entries
        self._people = people

    @classmethod
    async def of(cls, database: Database) -> Self:
        """Look at the ledger; raise NotFillableError unless it has only wallets just opened."""
        keys, people, entries = Tables.idempotency_keys.c, Tables.wallets, Tables.entries
        async with database.reading() as session:
            connection = await session.connection()
            used = await connection.execute(
                select(keys.key).where(keys.key != OPENING_KEY).limit(1)
            )
            if used.first() is not None:
                raise NotFillableError(
                    "This ledger has been used; nothing was written. Fill one that was made for it."
                )
            count = (
                await connection.execute(select(func.count()).select_from(people))
            ).scalar_one()
            if count < FEWEST_PEOPLE:
                raise NotFillableError(
                    f"Only {count} wallets are open and {FEWEST_PEOPLE} are needed; nothing was "
                    "written. Open them first."
                )
            made = (
                await connection.execute(select(func.count()).select_from(entries))
            ).scalar_one()
        return cls(people=count, entries=made)

    async def fill_to(
        self, entries: int, database: Database, advance: Callable[[int], None]
    ) -> None:
        """Add transfers until there are so many entries; call `advance` with how many were added.

        One more if the number cannot be met exactly; nothing if there are as many.
        """
        while self.entries < entries:
            missing = -(-(entries - self.entries) // ENTRIES_OF_A_TRANSFER)
            transfers = min(missing, CHUNK_TRANSFERS)
            async with database.transaction() as session:
                await self._add(await session.connection(), transfers)
            self.entries += transfers * ENTRIES_OF_A_TRANSFER
            advance(transfers * ENTRIES_OF_A_TRANSFER)

    async def _add(self, connection: AsyncConnection, transfers: int) -> None:
        if connection.dialect.name == "postgresql":
            # References are right by construction, and looking up twelve a transfer takes longer
            # than everything else.
            await connection.execute(text("SET LOCAL session_replication_role = replica"))
        places = {"places": list(range(1, transfers + 1))}
        taken = await connection.execute(
            new_ids(connection.dialect.name, Tables.transactions), places
        )
        ids = sorted(taken.scalars())
        assert ids[-1] - ids[0] == transfers - 1, "somebody else is writing transactions"
        chunk = {
            "first_id": ids[0],
            "transfers": transfers,
            "others": self._people - 1,
            "made_at": datetime.now(UTC),
        }
        for statement in chunk_statements(connection.dialect.name):
            takes_chunk = statement.compile().params
            await connection.execute(statement, chunk if takes_chunk else None)


async def settle(database: Database) -> None:
    """Leave the files and the statistics as a database has them that has run for a while.

    SQLite has no autovacuum, and tidies its files up when the last connection is closed.
    """
    if database.dialect_name == "sqlite":
        return
    # A connection of its own, without time-outs: the disk may take long, and autovacuum may be at
    # one of the tables.
    url = database.engine.url.set(drivername="postgresql")
    connection = await asyncpg.connect(url.render_as_string(hide_password=False))
    try:
        for statement in ("VACUUM (ANALYZE)", "CHECKPOINT"):
            await connection.execute(statement)
    finally:
        await connection.close()
