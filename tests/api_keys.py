"""API keys as tests need them: made in the database, or by people over HTTP."""

from datetime import timedelta
from typing import Any

import httpx
from sqlalchemy import select, update

from core.api_keys import TEST, MadeKey, NewKey, Permission, add_key
from db.models import Tables
from db.session import Database
from tests.people import Person


async def made_key(
    database: Database,
    *,
    prefix: str = TEST,
    lifetime: timedelta | None = timedelta(hours=1),
    owner_id: int | None = None,
    permission: Permission = Permission.CREDITS,
) -> MadeKey:
    """Return a new key of the house's with permission `credits`, unless told otherwise."""
    new = NewKey(name="test", permissions=frozenset({permission}), lifetime=lifetime, prefix=prefix)
    async with database.transaction() as session:
        return await add_key(session, new, owner_id=owner_id)


async def create_key(
    person: Person, *permissions: str, name: str = "test", expiry: str = "1H"
) -> httpx.Response:
    """Have a person make a key of their own, with permission `read` unless told otherwise."""
    body = {"name": name, "permissions": list(permissions or ["read"]), "expiry": expiry}
    return await person.send("POST", "/keys/create", body)


async def own_key(person: Person, *permissions: str) -> dict[str, Any]:
    """Return what a person was told of a key that they made."""
    response = await create_key(person, *permissions)
    assert response.status_code == 201, response.text
    made: dict[str, Any] = response.json()
    return made


async def roll_over(person: Person, key_id: object, expiry: str = "1H") -> httpx.Response:
    """Have a person roll a key over."""
    body = {"expired_key_id": key_id, "expiry": expiry}
    return await person.send("POST", "/keys/rollover", body)


async def revoke(person: Person, key_id: object) -> httpx.Response:
    """Have a person revoke a key."""
    return await person.send("POST", f"/keys/revoke/{key_id}")


async def listed(person: Person, **parameters: Any) -> list[dict[str, Any]]:
    """Return what a person is told of their keys."""
    response = await person.get("/keys/list", **({"limit": 100} | parameters))
    assert response.status_code == 200, response.text
    keys: list[dict[str, Any]] = response.json()["keys"]
    return keys


async def expire(database: Database, *key_ids: int) -> None:
    """Let the time of these keys be over."""
    keys = Tables.api_keys
    async with database.transaction() as session:
        await (await session.connection()).execute(
            update(keys).where(keys.c.id.in_(key_ids)).values(expires_at=keys.c.created_at)
        )


async def row_of(database: Database, key_id: int) -> Any:
    """Return all columns of a key."""
    async with database.reading() as session:
        connection = await session.connection()
        keys = Tables.api_keys
        return (await connection.execute(select(keys).where(keys.c.id == key_id))).one()
