"""What database URLs may look like."""

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

_ASYNC_DRIVERS = {
    "postgres": "postgresql+asyncpg",
    "postgresql": "postgresql+asyncpg",
    "postgresql+asyncpg": "postgresql+asyncpg",
    "sqlite": "sqlite+aiosqlite",
    "sqlite+aiosqlite": "sqlite+aiosqlite",
}


def async_database_url(url: str) -> str:
    """Turn the URL that hosting providers hand out into the one SQLAlchemy's async engines take.

    Raises ValueError for a scheme other than PostgreSQL and SQLite.
    """
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in _ASYNC_DRIVERS:
        raise ValueError("must start with postgresql:// or sqlite://")
    try:
        parsed = make_url(f"{_ASYNC_DRIVERS[scheme]}://{rest}")
    except ArgumentError as error:
        raise ValueError("is not a database URL") from error
    # libpq's name for it, which asyncpg does not know.
    if "sslmode" in parsed.query:
        mode = parsed.query["sslmode"]
        parsed = parsed.difference_update_query(["sslmode"]).update_query_dict({"ssl": mode})
    return parsed.render_as_string(hide_password=False)
