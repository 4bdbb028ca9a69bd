"""What the tables' columns are made of: types, keys, references, and how constraints are named."""

from datetime import UTC, datetime
from typing import Any, cast

from sqlalchemy import BigInteger, DateTime, Dialect, Integer, TypeDecorator, text
from sqlmodel import Field, SQLModel

# SQLite gives only a column of type INTEGER its own row id.
BigId = BigInteger().with_variant(Integer(), "sqlite")

SQLModel.metadata.naming_convention = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC time on both engines; SQLite stores it without its zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    @property
    def python_type(self) -> type[datetime]:
        """What its values are."""
        return datetime

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive times; SQLite gets UTC without the zone it cannot store."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("A time needs its zone.")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(
        self,
        value: datetime | None,
        dialect: Dialect,  # noqa: ARG002 - the signature is SQLAlchemy's
    ) -> datetime | None:
        """Give the zone back."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def key(**kwargs: Any) -> Any:
    """A row's own id, given by the database."""
    return Field(default=None, primary_key=True, sa_type=cast(Any, BigId), **kwargs)


def reference(target: str, **kwargs: Any) -> Any:
    """The id of a row of another table, which must be there."""
    return Field(sa_type=cast(Any, BigId), foreign_key=target, **kwargs)


def column(sa_type: Any, **kwargs: Any) -> Any:
    """A column of any other type."""
    return Field(sa_type=sa_type, **kwargs)


def where(condition: str) -> dict[str, Any]:
    """Make an index one of the rows that fulfil a condition."""
    return {"postgresql_where": text(condition), "sqlite_where": text(condition)}


# AUTOINCREMENT: without it SQLite would hand out the id of a deleted last row again.
NEVER_REUSE_IDS = {"sqlite_autoincrement": True}
