"""API keys as tests need them: made in the database as an operator makes them."""

from datetime import timedelta
from typing import Any

from sqlalchemy import select

from core import api_keys
from core.api_keys import TEST, MadeKey, Permission
from db.models import Tables
from db.session import Database


async def made_key(
    database: Database,
    *,
    prefix: str = TEST,
    lifetime: timedelta | None = timedelta(hours=1),
    owner_id: int | None = None,
    permission: Permission = Permission.CREDITS,
) -> MadeKey:
    """Return a new key of the house's with permission `credits`, unless told otherwise."""
    return await api_keys.make(
        database,
        prefix=prefix,
        name="test",
        permissions=frozenset({permission}),
        lifetime=lifetime,
        owner_id=owner_id,
    )


async def row_of(database: Database, key_id: int) -> Any:
    """Return all columns of a key."""
    async with database.reading() as session:
        connection = await session.connection()
        keys = Tables.api_keys
        return (await connection.execute(select(keys).where(keys.c.id == key_id))).one()
