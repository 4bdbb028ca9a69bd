"""The database behind the service's back, on either engine: what a storm is reckoned up against."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import text, update

from core.verification import verify_rules
from db.models import Tables
from db.session import Database, DatabaseOptions
from tests.api_keys import made_key
from tests.conftest import settings_for

# As patient as ./wallet verify: nothing here has been analysed yet, so plans are poor.
QUERY_SECONDS = 120

Line = Mapping[str, Any]


class Books:
    """A database, read and changed as no service would. To be closed."""

    def __init__(self, database_url: str) -> None:
        self._database = Database(
            DatabaseOptions(
                url=settings_for(database_url).database_url, command_timeout_seconds=QUERY_SECONDS
            )
        )

    async def lines(self, statement: str) -> Sequence[Line]:
        """Return what a SELECT finds."""
        async with self._database.reading() as session:
            connection = await session.connection()
            found = await connection.execute(text(statement))
            return [dict(row) for row in found.mappings()]

    async def add_service(self) -> str:
        """Return a new key of the house's that may give and take credits."""
        return (await made_key(self._database)).text

    async def end_leases(self) -> None:
        """Make everything due at once that was handed over and not yet sent."""
        async with self._database.transaction() as session:
            connection = await session.connection()
            outbox = Tables.outbox.c
            await connection.execute(
                update(Tables.outbox)
                .where(outbox.done_at.is_(None))
                .values(due_at=datetime.now(UTC))
            )

    async def broken_rules(self) -> list[str]:
        """Return which rules of money do not hold, and where."""
        return [
            f"{result.rule.name}: {result.offences}"
            async for result in verify_rules(self._database)
            if not result.holds
        ]

    async def close(self) -> None:
        """Close it."""
        await self._database.close()
