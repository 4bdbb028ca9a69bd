"""How PostgreSQL reads the receipts of a message, however many others wait."""

from collections.abc import AsyncIterator

import pytest
from sqlmodel.ext.asyncio.session import AsyncSession

from bench.people import make_people
from core.outbox import read_receipts
from db.engines import BY_KEYS
from db.session import Database, DatabaseOptions
from db.urls import async_database_url
from tests.conftest import create_postgres_database, migrate
from tests.plans import explain, last_statement, nodes
from tests.processes import SECRET_KEY

WAITING = 5_000
OTHERS = f"""
INSERT INTO outbox (transaction_id, user_id, created_at, due_at, attempts)
SELECT 1000000 + n, 1, now(), now(), 0 FROM generate_series(1, {WAITING}) AS n
"""


@pytest.fixture
async def crowded(postgres_url: str) -> AsyncIterator[Database]:
    """A database in which many receipts wait, and nobody has counted them yet."""
    url = await create_postgres_database(postgres_url)
    await migrate(url)
    opened = Database(DatabaseOptions(url=async_database_url(url)))
    await make_people(opened, count=1, secret_key=SECRET_KEY)
    async with opened.transaction() as session:
        await (await session.connection()).exec_driver_sql(OTHERS)
    yield opened
    await opened.close()


async def test_a_message_reads_its_own_receipts_alone(crowded: Database) -> None:
    async def look(session: AsyncSession) -> None:
        assert list(await read_receipts(session, [1])) == [1]

    settings = [f"{name} = {value}" for name, value in BY_KEYS.items()]
    plan = await explain(crowded, await last_statement(crowded, look), *settings)

    looked_at = [
        node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
        for node in nodes(plan)
        if node.get("Relation Name") == "outbox"
    ]
    assert looked_at == [1]
