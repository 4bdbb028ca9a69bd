"""The database's clock: one for all processes, whatever their machines take the time to be."""

from datetime import datetime

from sqlalchemy import ColumnElement, func

from db.columns import UtcDateTime


def database_now(dialect_name: str) -> ColumnElement[datetime]:
    """Return the expression for the time at which the statement, or its transaction, began."""
    if dialect_name == "postgresql":
        return func.now(type_=UtcDateTime())
    # As SQLAlchemy stores times on SQLite; its clock has milliseconds.
    return func.strftime("%Y-%m-%d %H:%M:%f000", "now", type_=UtcDateTime())
