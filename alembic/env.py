"""Runs migrations against the application's database, online, on both engines."""

import asyncio

from alembic import context
from sqlalchemy import Connection, text
from sqlmodel import SQLModel

import db.models  # noqa: F401 - fills the metadata
from config import async_database_url, load_settings
from db.session import Database, DatabaseOptions

# A migration that waits for a lock makes everyone behind it wait as well: rather fail and retry.
LOCK_TIMEOUT = "5s"


def run_migrations(connection: Connection) -> None:
    """Run what was asked for within one transaction."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SET lock_timeout = '{LOCK_TIMEOUT}'"))
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


async def migrate() -> None:
    """Connect to the database that the caller names, else to DATABASE_URL."""
    url = context.config.attributes.get("database_url") or load_settings().database_url
    database = Database(DatabaseOptions(url=async_database_url(url)))
    try:
        async with database.engine.connect() as connection:
            await connection.run_sync(run_migrations)
            await connection.commit()
    finally:
        await database.close()


asyncio.run(migrate())
