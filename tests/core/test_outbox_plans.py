"""How PostgreSQL reads the receipts of a message, however many others wait."""

import pytest
from sqlmodel.ext.asyncio.session import AsyncSession

from core.outbox import read_receipts
from db.session import BY_KEYS, Database
from tests.people import People
from tests.plans import explain, last_statement, nodes

WAITING = 5_000
OTHERS = f"""
INSERT INTO outbox (transaction_id, user_id, created_at, due_at, attempts)
SELECT 1000000 + n, 1, now(), now(), 0 FROM generate_series(1, {WAITING}) AS n
"""


async def test_a_message_reads_its_own_receipts_alone(people: People, database: Database) -> None:
    if database.dialect_name == "sqlite":
        pytest.skip("SQLite goes by the primary key")
    await people.with_wallet(100)
    async with database.transaction() as session:
        connection = await session.connection()
        # Nobody has counted them yet: the plan is made as after a sudden rush.
        await connection.exec_driver_sql(OTHERS)
        found = await connection.exec_driver_sql("SELECT min(id) FROM outbox")
        receipt_id = found.scalar_one()

    async def read(session: AsyncSession) -> None:
        assert list(await read_receipts(session, [receipt_id])) == [receipt_id]

    settings = [f"{name} = {value}" for name, value in BY_KEYS.items()]
    plan = await explain(database, await last_statement(database, read), *settings)

    looked_at = [
        node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
        for node in nodes(plan)
        if node.get("Relation Name") == "outbox"
    ]
    assert looked_at == [1]
