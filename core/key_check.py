"""Who holds an API key: asked for every request, for many keys with one query.

What a key is, and how one is made and ended, is in `core.api_keys`.
"""

import hmac
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Final, NamedTuple

import structlog
from sqlalchemy import SelectBase, or_, select, update

from core.api_keys import Permission, hash_secret, is_over, read_now, read_permissions
from core.batching import Batcher
from core.errors import Unavailable
from core.key_errors import ApiKeyExpired, ApiKeyInvalid, ApiKeyRevoked
from core.observation import UNOBSERVED, BatchObserver
from db.arrays import id_among
from db.clock import database_now
from db.models import Tables
from db.session import Database

log = structlog.get_logger(__name__)

USE_NOTED_EVERY: Final = timedelta(minutes=1)
CHECKS_IN_A_BATCH: Final = 500
CHECKS_WAITING_LIMIT: Final = 10_000
NOTED_KEYS_LIMIT: Final = 10_000

_TEXT: Final = re.compile(r"(sk_live|sk_test)_([1-9][0-9]{0,17})_([0-9a-f]{64})", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyHolder:
    """Who holds a valid key: for whom they act, and what they may do."""

    key_id: int
    owner_id: int | None
    permissions: frozenset[Permission]


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
        if not hmac.compare_digest(known, hash_secret(match[3])) or row is None:
            raise ApiKeyInvalid
        if row.revoked_at is not None:
            raise ApiKeyRevoked
        if is_over(row):
            raise ApiKeyExpired
        if row.last_used_at is None or row.now - row.last_used_at >= USE_NOTED_EVERY:
            self._leave_use(row.id)
        return KeyHolder(
            key_id=row.id, owner_id=row.user_id, permissions=read_permissions(row.permissions)
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
                now = await read_now(session)
                among = id_among(self._database.dialect_name, keys.id, "ids")
                stale = or_(keys.last_used_at.is_(None), keys.last_used_at <= now - USE_NOTED_EVERY)
                statement = update(Tables.api_keys).where(among, stale).values(last_used_at=now)
                await (await session.connection()).execute(statement, {"ids": list(set(key_ids))})
        except Exception as error:  # noqa: BLE001 - whatever it was, no request depends on it
            log.warning("key_use_not_noted", error=type(error).__name__)
        return [None] * len(key_ids)


@cache
def _known_keys(dialect_name: str) -> SelectBase:
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
