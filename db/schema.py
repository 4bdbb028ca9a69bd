"""Which schema the database has, and which one this code needs."""

from functools import cache
from pathlib import Path

from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text
from sqlmodel import select

from db.models import Installation
from db.session import Database


class SchemaOutdated(Exception):
    """The database's schema is not the one this code was written for."""


def alembic_config() -> Config:
    """Return Alembic's settings for this checkout, wherever the process was started."""
    root = Path(__file__).parent.parent
    config = Config(str(root / "alembic.ini"))
    config.set_main_option("script_location", str(root / "alembic"))
    return config


@cache
def needed_revision() -> str | None:
    """Return the newest migration of this checkout."""
    return ScriptDirectory.from_config(alembic_config()).get_current_head()


async def check_schema(database: Database) -> None:
    """Raise SchemaOutdated, with the command that mends it, unless all migrations were applied."""
    async with database.reading() as session:
        connection = await session.connection()
        found = await connection.run_sync(_current_revision)
    if found != needed_revision():
        raise SchemaOutdated(
            f"The database schema is at {found or 'nothing'}, this version needs "
            f"{needed_revision()}. Run `./wallet migrate` (or `alembic upgrade head`), then start "
            "again."
        )


async def read_installation_id(database: Database) -> str:
    """Return what tells this database from every other one, also from its own predecessors."""
    async with database.reading() as session:
        return (await session.exec(select(Installation.id))).one()


def _current_revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
