"""API keys: made and shown once, listed without their secrets, revoked, and checked.

A key's text is `sk_live_<id>_<secret>`, `sk_test_…` outside production. The id finds the row; of
the secret, 256 random bits, only the SHA-256 is kept. A key without an owner is the house's.
"""

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache
from typing import Any, Final, NamedTuple

import structlog
from sqlalchemy import Executable, or_, select, update
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from core.batching import Batcher
from core.errors import Unavailable
from core.key_errors import ApiKeyExpired, ApiKeyInvalid, ApiKeyRevoked
from core.observation import UNOBSERVED, BatchObserver
from core.retrying import in_transaction
from db.arrays import id_among
from db.clock import database_now
from db.models import ApiKey, Tables
from db.session import Database

log = structlog.get_logger(__name__)

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
USE_NOTED_EVERY: Final = timedelta(minutes=1)
CHECKS_IN_A_BATCH: Final = 500
CHECKS_WAITING_LIMIT: Final = 10_000
NOTED_KEYS_LIMIT: Final = 10_000

_TEXT: Final = re.compile(r"(sk_live|sk_test)_([1-9][0-9]{0,17})_([0-9a-f]{64})", re.ASCII)


class Permission(StrEnum):
    """What a key may do: the first three for its owner, the last for the house."""

    READ = "read"
    DEPOSIT = "deposit"
    TRANSFER = "transfer"
    CREDITS = "credits"


HOUSE_PERMISSIONS: Final = frozenset({Permission.CREDITS})


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeKey:
    """A key just made; `text` is what its holder sends, and is kept nowhere."""

    id: int
    text: str
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


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyHolder:
    """Who holds a valid key: for whom they act, and what they may do."""

    key_id: int
    owner_id: int | None
    permissions: frozenset[Permission]


async def make(
    database: Database,
    *,
    prefix: str,
    name: str,
    permissions: frozenset[Permission],
    lifetime: timedelta | None,
    owner_id: int | None = None,
) -> MadeKey:
    """Make a key; with `lifetime` None it never expires."""
    secret = secrets.token_hex(SECRET_BYTES)

    async def store(session: AsyncSession) -> MadeKey:
        now = await _now(session, database.dialect_name)
        made = ApiKey(
            user_id=owner_id,
            name=name,
            permissions=" ".join(sorted(permissions)),
            secret_sha256=_sha256(secret),
            created_at=now,
            expires_at=now + lifetime if lifetime is not None else None,
        )
        session.add(made)
        await session.flush()
        text = f"{prefix}_{made.id}_{secret}"
        return MadeKey(id=made.id, text=text, expires_at=made.expires_at)

    return await in_transaction(database, store)


async def revoke(database: Database, key_id: int) -> bool:
    """End a key, at once and for good; return whether there is one with this id."""

    async def end(session: AsyncSession) -> bool:
        ended = await session.exec(
            update(ApiKey)
            .where(col(ApiKey.id) == key_id, col(ApiKey.revoked_at).is_(None))
            .values(revoked_at=database_now(database.dialect_name))
        )
        return ended.rowcount > 0 or await session.get(ApiKey, key_id) is not None

    return await in_transaction(database, end)


async def list_keys(session: AsyncSession) -> list[KeyView]:
    """Return the newest LISTED_LIMIT keys of everybody, newest first."""
    connection = await session.connection()
    keys = Tables.api_keys
    now = database_now(connection.dialect.name).label("now")
    rows = await connection.execute(
        select(keys, now).order_by(keys.c.id.desc()).limit(LISTED_LIMIT)
    )
    return [
        KeyView(
            id=row.id,
            owner_id=row.user_id,
            name=row.name,
            permissions=_read_permissions(row.permissions),
            created_at=row.created_at,
            expires_at=row.expires_at,
            revoked_at=row.revoked_at,
            last_used_at=row.last_used_at,
            expired=_is_over(row),
        )
        for row in rows
    ]


class _KnownKey(NamedTuple):
    """A row of `_known_keys`; `now` is the database's time."""

    id: int
    user_id: int | None
    permissions: str
    secret_sha256: bytes
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    now: datetime


class KeyCheck:
    """Tells who holds a key, for many keys with one query.

    Each answer comes from a query that began after the question was asked, and from the database's
    clock, so that a revocation or the end of a key is effective for every request that follows it.
    That a key was used is noted at most once a minute, after the answer and apart from it.
    """

    def __init__(self, database: Database, observer: BatchObserver = UNOBSERVED, *, prefix: str):
        self._database = database
        self._prefix = prefix
        self._rows: Batcher[int, _KnownKey | None] = Batcher(
            self._query,
            batch_limit=CHECKS_IN_A_BATCH,
            queue_limit=CHECKS_WAITING_LIMIT,
            observer=observer,
        )
        self._uses: Batcher[int, None] = Batcher(
            self._note_uses, batch_limit=CHECKS_IN_A_BATCH, queue_limit=CHECKS_WAITING_LIMIT
        )
        # When this process last wanted to note a key's use: however that went, not again at once.
        self._noted: dict[int, float] = {}

    async def identify(self, text: str) -> KeyHolder:
        """Return who holds the key with this text.

        Raises ApiKeyInvalid, and for whoever knows the secret ApiKeyRevoked or ApiKeyExpired.
        """
        match = _TEXT.fullmatch(text)
        if match is None or match[1] != self._prefix:
            raise ApiKeyInvalid
        row = await self._rows.submit(int(match[2]))
        known = row.secret_sha256 if row is not None else bytes(32)
        if not hmac.compare_digest(known, _sha256(match[3])) or row is None:
            raise ApiKeyInvalid
        if row.revoked_at is not None:
            raise ApiKeyRevoked
        if _is_over(row):
            raise ApiKeyExpired
        if row.last_used_at is None or row.now - row.last_used_at >= USE_NOTED_EVERY:
            self._leave_use(row.id)
        return KeyHolder(
            key_id=row.id, owner_id=row.user_id, permissions=_read_permissions(row.permissions)
        )

    async def stop(self) -> None:
        """Finish noting what was used."""
        await self._uses.stop()

    async def _query(self, key_ids: Sequence[int]) -> list[_KnownKey | None]:
        async with self._database.lean_reading() as connection:
            rows = await connection.select(
                _known_keys(connection.dialect_name), {"ids": list(set(key_ids))}
            )
            found = {row.id: row for row in (_KnownKey(*row) for row in rows)}
        return [found.get(key_id) for key_id in key_ids]

    def _leave_use(self, key_id: int) -> None:
        noted_at, now = self._noted.get(key_id), time.monotonic()
        if noted_at is not None and now - noted_at < USE_NOTED_EVERY.total_seconds():
            return
        if len(self._noted) >= NOTED_KEYS_LIMIT:
            self._noted.clear()
        self._noted[key_id] = now
        try:
            self._uses.leave(key_id)
        except Unavailable:
            log.warning("key_use_not_noted", api_key_id=key_id)

    async def _note_uses(self, key_ids: Sequence[int]) -> list[None]:
        """Note uses that no other process has noted within the minute; a failure harms nobody."""
        keys = Tables.api_keys.c
        try:
            async with self._database.transaction() as session:
                now = await _now(session, self._database.dialect_name)
                among = id_among(self._database.dialect_name, keys.id, "ids")
                stale = or_(keys.last_used_at.is_(None), keys.last_used_at <= now - USE_NOTED_EVERY)
                statement = update(Tables.api_keys).where(among, stale).values(last_used_at=now)
                await (await session.connection()).execute(statement, {"ids": list(set(key_ids))})
        except Exception as error:  # noqa: BLE001 - whatever it was, no request depends on it
            log.warning("key_use_not_noted", error=type(error).__name__)
        return [None] * len(key_ids)


@cache
def _known_keys(dialect_name: str) -> Executable:
    keys = Tables.api_keys.c
    return select(
        keys.id,
        keys.user_id,
        keys.permissions,
        keys.secret_sha256,
        keys.expires_at,
        keys.revoked_at,
        keys.last_used_at,
        database_now(dialect_name).label("now"),
    ).where(id_among(dialect_name, keys.id, "ids"))


async def _now(session: AsyncSession, dialect_name: str) -> datetime:
    connection = await session.connection()
    found: datetime = (await connection.execute(select(database_now(dialect_name)))).scalar_one()
    return found


def _is_over(row: Any) -> bool:
    return row.expires_at is not None and row.expires_at <= row.now


def _read_permissions(text: str) -> frozenset[Permission]:
    return frozenset(Permission(name) for name in text.split(" "))


def _sha256(secret: str) -> bytes:
    """Return what is kept of a secret; it is random, so a plain hash suffices."""
    return hashlib.sha256(secret.encode()).digest()
