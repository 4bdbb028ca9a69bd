"""The database's clock: one for all processes, whatever their machines take the time to be."""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, cast, extract, func, null, type_coerce
from sqlalchemy.types import String

from db.columns import UtcDateTime

MICROSECONDS: Final = 1_000_000


def database_now(dialect_name: str) -> ColumnElement[datetime]:
    """Return the expression for the time at which the statement, or its transaction, began."""
    if dialect_name == "postgresql":
        return func.now(type_=UtcDateTime())
    # As SQLAlchemy stores times on SQLite; its clock has milliseconds.
    return func.strftime("%Y-%m-%d %H:%M:%f000", "now", type_=UtcDateTime())


def as_text(dialect_name: str, time: ColumnElement[datetime]) -> ColumnElement[str]:
    """Return the expression for a time as ISO 8601 text, in UTC."""
    if dialect_name == "postgresql":
        return func.to_char(func.timezone("UTC", time), 'YYYY-MM-DD"T"HH24:MI:SS.US')
    return type_coerce(time, String)


def microseconds_so_far(dialect_name: str) -> ColumnElement[Any]:
    """Return the expression for how long the statement has taken when this is read.

    Null on SQLite, where no statement waits for another's locks: BEGIN has done that.
    """
    if dialect_name == "postgresql":
        taken = func.clock_timestamp() - func.statement_timestamp()
        return cast(extract("epoch", taken) * MICROSECONDS, BigInteger)
    return null()
