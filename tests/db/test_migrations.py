"""The migrations are the schema: they go up, down and up again, and match the models."""

import asyncio
import os
import subprocess
import sys

import pytest

from db.schema import SchemaOutdated, check_schema, needed_revision, read_installation_id
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
