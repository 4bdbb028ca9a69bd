"""The migrations are the schema: they go up, down and up again, and match the models."""

import asyncio
import os
import subprocess
import sys

import pytest

from core.verification import verify_rules
from db.models import Tables
from db.schema import SchemaOutdated, check_schema, needed_revision, read_installation_id
from db.sequences import reserve_ids
from db.session import Database, DatabaseOptions
from main import create_app
from operations.children import ROOT
from tests.conftest import migrate, settings_for


async def alembic(url: str, *arguments: str) -> str:
    """Run the command that users type; return what it says. Fails with its words."""
    result = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "alembic", *arguments],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": url},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout + result.stderr


async def test_up_check_down_and_up_again(empty_url: str) -> None:
    await alembic(empty_url, "upgrade", "head")
    assert "No new upgrade operations detected" in await alembic(empty_url, "check")
    await alembic(empty_url, "downgrade", "-1")
    await alembic(empty_url, "downgrade", "base")
    await alembic(empty_url, "upgrade", "head")
    assert str(needed_revision()) in await alembic(empty_url, "current")


async def test_an_outdated_schema_is_not_served_and_the_cure_is_told(empty_url: str) -> None:
    settings = settings_for(empty_url)
    app = create_app(settings)
    for found in ("nothing", "0001"):
        with pytest.raises(SchemaOutdated, match=rf"at {found}, .*\./wallet migrate.*alembic"):
            async with app.router.lifespan_context(app):
                raise AssertionError("It must not serve.")
        await migrate(empty_url, "0001")
    await migrate(empty_url)
    database = Database(DatabaseOptions(url=settings.database_url))
    await check_schema(database)
    await database.close()


async def test_every_database_has_a_name_of_its_own(empty_url: str, database: Database) -> None:
    await migrate(empty_url)
    other = Database(DatabaseOptions(url=settings_for(empty_url).database_url))
    assert await read_installation_id(other) != await read_installation_id(database)
    await other.close()


OLD_ROWS = (
    "INSERT INTO users (first_name, last_name, email, email_folded, password_hash, created_at)"
    " VALUES ('Jane', 'Doe', 'j@example.com', 'j@example.com', '!', '2026-01-01 00:00:00')",
    "INSERT INTO wallets (user_id, wallet_number, currency, balance_minor, may_go_negative,"
    " created_at, updated_at, closed_at) VALUES"
    " (1, '100000000001', 'USD', 0, FALSE, '2026-01-01 00:00:00', '2026-01-01 00:00:00',"
    " '2026-01-02 00:00:00'),"
    " (1, '100000000002', 'NGN', 500, FALSE, '2026-01-03 00:00:00', '2026-01-03 00:00:00', NULL)",
    "INSERT INTO transactions (type, state, wallet_id, amount_minor, currency, created_at)"
    " VALUES ('deposit', 'SUCCESS', 2, 500, 'NGN', '2026-01-03 00:00:00')",
    "INSERT INTO entries (transaction_id, wallet_id, entry_type, amount_minor, currency,"
    " balance_snapshot_minor, created_at) VALUES"
    " (1, NULL, 'DEBIT', 500, 'NGN', NULL, '2026-01-03 00:00:00'),"
    " (1, 2, 'CREDIT', 500, 'NGN', 500, '2026-01-03 00:00:00')",
    "INSERT INTO idempotency_keys (principal_id, key, fingerprint, status, body, transaction_id,"
    " replays, created_at)"
    " VALUES (1, 'k', {fingerprint}, 200, '{{}}', 1, 0, '2026-01-03 00:00:00')",
)
FINGERPRINT = {"sqlite": "zeroblob(32)", "postgresql": "decode(repeat('00', 32), 'hex')"}


async def test_wallets_from_before_there_were_accounts_are_primary(
    empty_url: str, engine_name: str
) -> None:
    await migrate(empty_url, "0005")
    database = Database(DatabaseOptions(url=settings_for(empty_url).database_url))
    async with database.transaction() as session:
        connection = await session.connection()
        for statement in OLD_ROWS:
            await connection.exec_driver_sql(statement.format(fingerprint=FINGERPRINT[engine_name]))
    await database.close()

    await migrate(empty_url)

    database = Database(DatabaseOptions(url=settings_for(empty_url).database_url))
    assert [result.rule.name async for result in verify_rules(database) if not result.holds] == []
    async with database.transaction() as session:
        connection = await session.connection()
        rows = await connection.exec_driver_sql(
            "SELECT is_primary, balance_minor, wallet_number, name, holder_id FROM wallets"
            " ORDER BY id"
        )
        assert [tuple(row) for row in rows] == [
            (True, 0, "100000000001", None, None),
            (True, 500, "100000000002", None, None),
        ]
    async with database.lean_transaction() as batch:
        # New ids go on after the old ones.
        assert await reserve_ids(batch, Tables.wallets, 1) == [3]
    await database.close()
    await alembic(empty_url, "downgrade", "0005")
    assert "0005" in await alembic(empty_url, "current")
    await alembic(empty_url, "upgrade", "head")
