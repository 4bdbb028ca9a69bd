"""API keys: made and shown once, listed without their secrets, and revoked.

A key's text is `sk_live_<id>_<secret>`, `sk_test_…` outside production. The id finds the row; of
the secret, 256 random bits, only the SHA-256 is kept. A key without an owner is the house's, made
by an operator; what people do with their own is in `core.own_keys`, and who holds a key that comes
with a request in `core.key_check`.
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Select, select, update
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from core.retrying import in_transaction
from db.clock import database_now
from db.models import ApiKey, Tables
from db.session import Database

LIVE: Final = "sk_live"
TEST: Final = "sk_test"
LIFETIMES: Final = {
    "1H": timedelta(hours=1),
    "1D": timedelta(days=1),
    "1M": timedelta(days=30),
    "1Y": timedelta(days=365),
}
SECRET_BYTES: Final = 32
LISTED_LIMIT: Final = 1000


class Permission(StrEnum):
    """What a key may do: the first three for its owner, the last for the house."""

    READ = "read"
    DEPOSIT = "deposit"
    TRANSFER = "transfer"
    CREDITS = "credits"


HOUSE_PERMISSIONS: Final = frozenset({Permission.CREDITS})


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKey:
    """A key to be made; with `lifetime` None it never expires."""

    name: str
    permissions: frozenset[Permission]
    lifetime: timedelta | None
    # Tells keys of one environment from those of another: LIVE or TEST.
    prefix: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeKey:
    """A key just made; `text` is what its holder sends, and is kept nowhere."""

    id: int
    text: str
    name: str
    permissions: frozenset[Permission]
    expires_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyView:
    """A key as it may be shown; `owner_id` None is the house."""

    id: int
    owner_id: int | None
    name: str
    permissions: frozenset[Permission]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    expired: bool

    @property
    def active(self) -> bool:
        """Whether it opens anything."""
        return self.revoked_at is None and not self.expired


async def make(database: Database, new: NewKey) -> MadeKey:
    """Make a key of the house's."""

    async def store(session: AsyncSession) -> MadeKey:
        return await add_key(session, new, owner_id=None)

    return await in_transaction(database, store)


async def add_key(session: AsyncSession, new: NewKey, *, owner_id: int | None) -> MadeKey:
    """Make a key of somebody's, or with `owner_id` None of the house's; durable once committed."""
    secret = secrets.token_hex(SECRET_BYTES)
    now = await read_now(session)
    made = ApiKey(
        user_id=owner_id,
        name=new.name,
        permissions=" ".join(sorted(new.permissions)),
        secret_sha256=hash_secret(secret),
        created_at=now,
        expires_at=now + new.lifetime if new.lifetime is not None else None,
    )
    session.add(made)
    await session.flush()
    return MadeKey(
        id=made.id,
        text=f"{new.prefix}_{made.id}_{secret}",
        name=made.name,
        permissions=new.permissions,
        expires_at=made.expires_at,
    )


async def revoke(database: Database, key_id: int) -> bool:
    """End anybody's key, at once and for good; return whether there is one with this id."""

    async def end(session: AsyncSession) -> bool:
        await end_key(session, key_id)
        return await session.get(ApiKey, key_id) is not None

    return await in_transaction(database, end)


async def end_key(session: AsyncSession, key_id: int) -> None:
    """End a key, unless it was ended before; effective for whatever follows the commit."""
    connection = await session.connection()
    await session.exec(
        update(ApiKey)
        .where(col(ApiKey.id) == key_id, col(ApiKey.revoked_at).is_(None))
        .values(revoked_at=database_now(connection.dialect.name))
    )


async def list_keys(session: AsyncSession) -> list[KeyView]:
    """Return the newest LISTED_LIMIT keys of everybody, newest first."""
    connection = await session.connection()
    rows = await connection.execute(
        select_keys(connection.dialect.name)
        .order_by(Tables.api_keys.c.id.desc())
        .limit(LISTED_LIMIT)
    )
    return [key_view(row) for row in rows]


def select_keys(dialect_name: str) -> Select[Any]:
    """Select keys, each with the database's time as `now`: what `key_view` shows."""
    return select(Tables.api_keys, database_now(dialect_name).label("now"))


def key_view(row: Any) -> KeyView:
    """Show a row of `select_keys`."""
    return KeyView(
        id=row.id,
        owner_id=row.user_id,
        name=row.name,
        permissions=read_permissions(row.permissions),
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
        expired=is_over(row),
    )


async def read_now(session: AsyncSession) -> datetime:
    """Return the database's time."""
    connection = await session.connection()
    now = select(database_now(connection.dialect.name))
    found: datetime = (await connection.execute(now)).scalar_one()
    return found


def is_over(row: Any) -> bool:
    """Whether a key's time is over; `row` has its `expires_at` and the database's time as `now`."""
    return row.expires_at is not None and row.expires_at <= row.now


def read_permissions(text: str) -> frozenset[Permission]:
    """Return the permissions that stand in a key's row."""
    return frozenset(Permission(name) for name in text.split(" "))


def hash_secret(secret: str) -> bytes:
    """Return what is kept of a secret; it is random, so a plain hash suffices."""
    return hashlib.sha256(secret.encode()).digest()
