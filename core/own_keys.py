"""API keys of people: each makes, lists, rolls over and revokes their own, and no one else's.

A key acts for its owner with the permissions that it was given, and with no more than its owner
could do. How a key is checked when it comes with a request is in `core.key_check`.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import Select, func, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession

from core.api_keys import (
    KeyView,
    MadeKey,
    NewKey,
    Permission,
    add_key,
    end_key,
    key_view,
    select_keys,
)
from core.key_errors import (
    ApiKeyAlreadyRevoked,
    ApiKeyNotExpired,
    ApiKeyNotFound,
    TooManyApiKeys,
)
from core.paging import API_KEYS, Slice, cut, newest, parameters_of
from core.retrying import in_transaction
from db.clock import database_now
from db.models import Tables
from db.session import Database

OWN_PERMISSIONS: Final = (Permission.READ, Permission.DEPOSIT, Permission.TRANSFER)
ACTIVE_KEYS_LIMIT: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollover:
    """An expired key to be replaced by one with the same name and permissions."""

    expired_key_id: int
    lifetime: timedelta
    prefix: str


async def make_own(database: Database, owner_id: int, new: NewKey) -> MadeKey:
    """Make a key of a person's. Raises TooManyApiKeys."""

    async def store(session: AsyncSession) -> MadeKey:
        await _lock_keys_of(session, owner_id)
        await _check_may_have_another(session, owner_id)
        return await add_key(session, new, owner_id=owner_id)

    return await in_transaction(database, store)


async def roll_over(database: Database, owner_id: int, rollover: Rollover) -> MadeKey:
    """Replace an expired key of a person's; it is revoked, so that this is done only once.

    Raises ApiKeyNotFound, ApiKeyAlreadyRevoked, ApiKeyNotExpired and TooManyApiKeys.
    """

    async def replace(session: AsyncSession) -> MadeKey:
        await _lock_keys_of(session, owner_id)
        old = await _find_own(session, owner_id, rollover.expired_key_id)
        if old.revoked_at is not None:
            raise ApiKeyAlreadyRevoked
        if not old.expired:
            raise ApiKeyNotExpired
        await _check_may_have_another(session, owner_id)
        await end_key(session, old.id)
        new = NewKey(
            name=old.name,
            permissions=old.permissions,
            lifetime=rollover.lifetime,
            prefix=rollover.prefix,
        )
        return await add_key(session, new, owner_id=owner_id)

    return await in_transaction(database, replace)


async def revoke_own(database: Database, owner_id: int, key_id: int) -> KeyView:
    """End a key of a person's, at once and for good, and return it; again changes nothing.

    Raises ApiKeyNotFound.
    """

    async def end(session: AsyncSession) -> KeyView:
        # Found first: whose key it is not must not end it.
        await _find_own(session, owner_id, key_id)
        await end_key(session, key_id)
        return await _find_own(session, owner_id, key_id)

    return await in_transaction(database, end)


async def list_own(
    session: AsyncSession, owner_id: int, part: Slice
) -> tuple[list[KeyView], str | None]:
    """Return a page of a person's keys, those that have ended too, and the cursor of the next one.

    Raises InvalidCursor.
    """
    statement = newest(await _select_own(session, owner_id), Tables.api_keys.c.id)
    connection = await session.connection()
    found = await connection.execute(statement, parameters_of(part, API_KEYS))
    rows, next_cursor = cut(found.all(), part, API_KEYS)
    return [key_view(row) for row in rows], next_cursor


async def _lock_keys_of(session: AsyncSession, owner_id: int) -> None:
    """Let nobody else make a key of this person's before this transaction ends.

    SQLite's transactions are alone anyway. What refers to the person is not held up.
    """
    people = Tables.users
    connection = await session.connection()
    await connection.execute(
        select(people.c.id).where(people.c.id == owner_id).with_for_update(key_share=True)
    )


async def _check_may_have_another(session: AsyncSession, owner_id: int) -> None:
    """Raise TooManyApiKeys; a look of its own, since the lock may have waited for a rival."""
    connection = await session.connection()
    keys, now = Tables.api_keys.c, database_now(connection.dialect.name)
    active = await connection.execute(
        select(func.count()).where(
            keys.user_id == owner_id,
            keys.revoked_at.is_(None),
            or_(keys.expires_at.is_(None), keys.expires_at > now),
        )
    )
    if active.scalar_one() >= ACTIVE_KEYS_LIMIT:
        raise TooManyApiKeys


async def _find_own(session: AsyncSession, owner_id: int, key_id: int) -> KeyView:
    """Return a person's key. Raises ApiKeyNotFound, the same for another's as for none."""
    connection = await session.connection()
    statement = await _select_own(session, owner_id)
    row = (await connection.execute(statement.where(Tables.api_keys.c.id == key_id))).first()
    if row is None:
        raise ApiKeyNotFound
    return key_view(row)


async def _select_own(session: AsyncSession, owner_id: int) -> Select[Any]:
    connection = await session.connection()
    return select_keys(connection.dialect.name).where(Tables.api_keys.c.user_id == owner_id)
