"""Runs migrations against the application's database, online, on both engines."""

import asyncio
from dataclasses import replace
from typing import Any

from alembic import context
from sqlalchemy import Connection, event, text
from sqlmodel import SQLModel

import db.models  # noqa: F401 - fills the metadata
from config import load_settings_or_exit
from db.engines import FREE_PLANS
from db.session import Database
from db.urls import async_database_url

# A migration that waits for a lock makes everyone behind it wait as well: rather fail and retry.
LOCK_TIMEOUT = "5s"
# An index on a large table takes as long as it takes.
STATEMENT_TIMEOUT_SECONDS = 6 * 60 * 60


def run_migrations(connection: Connection) -> None:
    """Run what was asked for within one transaction."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SET lock_timeout = '{LOCK_TIMEOUT}'"))
        for statement in FREE_PLANS:
            connection.execute(text(statement))
    context.configure(
        connection=connection,
        target_metadata=SQLModel.metadata,
        render_as_batch=True,
        compare_type=True,
        compare_server_default=True,
        autogenerate_plugins=["alembic.autogenerate.*", "alembic.ext.checkconstraint_byname"],
    )
    with context.begin_transaction():
        context.run_migrations()


def check_references(connection: Connection) -> None:
    """Raise RuntimeError if a migration left a row that refers to nothing (SQLite)."""
    if connection.dialect.name != "sqlite":
        return
    broken = connection.execute(text("PRAGMA foreign_key_check")).fetchall()
    if broken:
        raise RuntimeError(f"The migration would leave rows that refer to nothing: {broken[:5]}")


def _without_foreign_keys(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys = OFF")
    cursor.close()


async def migrate() -> None:
    """Connect to the database that the caller names, else to DATABASE_URL."""
    named: str | None = context.config.attributes.get("database_url")
    settings = load_settings_or_exit()
    database = Database(
        replace(
            settings.database_options,
            url=async_database_url(named) if named else settings.database_url,
            command_timeout_seconds=STATEMENT_TIMEOUT_SECONDS,
        )
    )
    if database.dialect_name == "sqlite":
        # SQLite changes a constraint by making the table anew; references to it are checked below.
        event.listen(database.engine.sync_engine, "connect", _without_foreign_keys)
    try:
        async with database.engine.connect() as connection:
            await connection.run_sync(run_migrations)
            await connection.run_sync(check_references)
            await connection.commit()
    finally:
        await database.close()


asyncio.run(migrate())
