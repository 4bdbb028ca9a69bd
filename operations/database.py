"""The database as a command of an operator opens it: reachable and up to date, or one sentence."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Final

from sqlalchemy.engine import make_url

from config import Settings
from db.faults import Fault, classify
from db.schema import SchemaOutdated, check_schema
from db.session import Database

NOT_READY_EXIT_CODE: Final = 3


class DatabaseNotReadyError(Exception):
    """The database cannot be worked with. Its text is a sentence for the operator."""


@asynccontextmanager
async def open_database(
    settings: Settings, *, command_timeout_seconds: float | None = None
) -> AsyncIterator[Database]:
    """Give the database of these settings, and close it.

    Raises DatabaseNotReadyError when it cannot be reached, then or later, or its schema is
    outdated.
    """
    _check_file(settings.database_url)
    options = settings.database_options
    if command_timeout_seconds is not None:
        options = replace(options, command_timeout_seconds=command_timeout_seconds)
    database = Database(options)
    try:
        await _check(database)
        yield database
    except Exception as error:
        if classify(error) is not Fault.UNAVAILABLE:
            raise
        raise DatabaseNotReadyError(_sentence(error)) from None
    finally:
        await database.close()


def _check_file(url: str) -> None:
    """Open an SQLite file once without the asynchronous driver.

    A file that it cannot open leaves that driver's thread behind, which then finds our event loop
    closed and prints a traceback after our sentence.
    """
    parsed = make_url(url)
    path = parsed.database or ":memory:"
    if parsed.get_backend_name() != "sqlite" or path.startswith("file:"):
        return
    try:
        sqlite3.connect(path).close()
    except sqlite3.Error as error:
        raise DatabaseNotReadyError(_sentence(error)) from None


async def _check(database: Database) -> None:
    try:
        await check_schema(database)
    except SchemaOutdated as error:
        raise DatabaseNotReadyError(str(error)) from None
    except Exception as error:  # noqa: BLE001 - a wrong name or password is no outage, but as final
        raise DatabaseNotReadyError(_sentence(error)) from None


def _sentence(error: Exception) -> str:
    """Say what the driver said, without the statement and the advice SQLAlchemy adds to it."""
    said = str(getattr(error, "orig", None) or error).strip()
    why = said.splitlines()[0] if said else type(error).__name__
    return f"The database cannot be reached; check DATABASE_URL and that it runs ({why})."
