"""Sign-ins: families of tokens that begin with a proof of who it is and end as a whole.

Refresh tokens are used once. One that is used again was stolen from someone, so its whole family
ends. Access tokens name their sign-in; `SignInCheck` tells for every request whether it lasts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import SelectBase, delete, select, update
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from core.batching import Batcher
from core.errors import InvalidCredentials, InvalidRefreshToken
from core.observation import UNOBSERVED, BatchObserver
from core.people import find_by_email
from core.retrying import in_transaction
from core.security import PasswordHasher, make_refresh_token, token_sha256
from db.arrays import id_among
from db.models import RefreshToken, SignIn, Tables, User
from db.session import Database

CHECKS_IN_A_BATCH = 500
CHECKS_WAITING_LIMIT = 10_000


@dataclass(frozen=True, slots=True)
class Granted:
    """A sign-in and the refresh token that continues it."""

    user_id: int
    sign_in_id: int
    refresh_token: str


async def sign_in(
    database: Database,
    hasher: PasswordHasher,
    *,
    email: str,
    password: str,
    refresh_lifetime: timedelta,
) -> Granted:
    """Begin a sign-in. Raises InvalidCredentials, the same and as late for whatever is wrong."""
    async with database.reading() as session:
        user = await find_by_email(session, email)
    fits, better_hash = await hasher.verify(password, user.password_hash if user else None)
    if user is None or not fits:
        raise InvalidCredentials

    async def begin(session: AsyncSession) -> Granted:
        if better_hash is not None:
            await session.exec(
                update(User).where(col(User.id) == user.id).values(password_hash=better_hash)
            )
        return await begin_sign_in(session, user.id, refresh_lifetime=refresh_lifetime)

    return await in_transaction(database, begin)


async def begin_sign_in(
    session: AsyncSession, user_id: int, *, refresh_lifetime: timedelta
) -> Granted:
    """Begin a sign-in of a person who has proved to be that person."""
    begun = SignIn(user_id=user_id, created_at=datetime.now(UTC))
    session.add(begun)
    await session.flush()
    return _grant(session, user_id, begun.id, refresh_lifetime)


async def refresh(database: Database, token: str, *, refresh_lifetime: timedelta) -> Granted:
    """Use a refresh token and return the next one.

    Raises InvalidRefreshToken; if the token had been used before, its sign-in has then ended.
    """

    async def rotate(session: AsyncSession) -> Granted | None:
        now = datetime.now(UTC)
        # One statement finds it unused and uses it: of two at once, one succeeds.
        used = await session.exec(
            update(RefreshToken)
            .where(
                col(RefreshToken.token_sha256) == token_sha256(token),
                col(RefreshToken.used_at).is_(None),
                col(RefreshToken.expires_at) > now,
            )
            .values(used_at=now)
            .returning(col(RefreshToken.sign_in_id))
        )
        sign_in_id: int | None = used.scalar_one_or_none()
        if sign_in_id is None:
            await _end_family_of_used(session, token, now)
            return None
        lasting = await session.get(SignIn, sign_in_id, with_for_update=True)
        if lasting is None or lasting.ended_at is not None:
            return None
        return _grant(session, lasting.user_id, lasting.id, refresh_lifetime)

    granted = await in_transaction(database, rotate)
    # Raised only here: inside, it would roll back the end of the family.
    if granted is None:
        raise InvalidRefreshToken
    return granted


async def end(database: Database, sign_in_id: int) -> None:
    """End a sign-in: none of its tokens is accepted any more, in any process."""

    async def mark(session: AsyncSession) -> None:
        await _end(session, sign_in_id, datetime.now(UTC))

    await in_transaction(database, mark)


async def delete_expired(database: Database, *, before: datetime) -> int:
    """Delete refresh tokens that expired before a time; return how many."""

    async def sweep(session: AsyncSession) -> int:
        result = await session.exec(
            delete(RefreshToken).where(col(RefreshToken.expires_at) < before)
        )
        return result.rowcount

    return await in_transaction(database, sweep)


class SignInCheck:
    """Tells whether sign-ins still last, many with one query.

    Each answer comes from a query that began after the question was asked, so that a sign-out,
    wherever it was handled, is effective for every request that follows it.
    """

    def __init__(self, database: Database, observer: BatchObserver = UNOBSERVED):
        self._database = database
        self._batcher: Batcher[int, bool] = Batcher(
            self._query,
            batch_limit=CHECKS_IN_A_BATCH,
            queue_limit=CHECKS_WAITING_LIMIT,
            observer=observer,
        )

    async def lasts(self, sign_in_id: int) -> bool:
        """Return whether the sign-in exists and has not ended."""
        return await self._batcher.submit(sign_in_id)

    async def _query(self, sign_in_ids: Sequence[int]) -> list[bool]:
        async with self._database.lean_reading() as connection:
            rows = await connection.select(
                _lasting_statement(connection.dialect_name), {"ids": list(set(sign_in_ids))}
            )
            lasting = {row[0] for row in rows}
        return [sign_in_id in lasting for sign_in_id in sign_in_ids]


@cache
def _lasting_statement(dialect_name: str) -> SelectBase:
    sign_ins = Tables.sign_ins.c
    return select(sign_ins.id).where(
        id_among(dialect_name, sign_ins.id, "ids"), sign_ins.ended_at.is_(None)
    )


def _grant(
    session: AsyncSession, user_id: int, sign_in_id: int, refresh_lifetime: timedelta
) -> Granted:
    token = make_refresh_token()
    session.add(
        RefreshToken(
            sign_in_id=sign_in_id,
            token_sha256=token_sha256(token),
            expires_at=datetime.now(UTC) + refresh_lifetime,
        )
    )
    return Granted(user_id, sign_in_id, token)


async def _end_family_of_used(session: AsyncSession, token: str, now: datetime) -> None:
    """End the sign-in of a token that was used before; of an unknown one there is none."""
    statement = select(RefreshToken.sign_in_id).where(  # type: ignore[call-overload]
        col(RefreshToken.token_sha256) == token_sha256(token),
        col(RefreshToken.used_at).is_not(None),
    )
    sign_in_id: Any = (await session.exec(statement)).first()
    if sign_in_id is not None:
        await _end(session, sign_in_id[0], now)


async def _end(session: AsyncSession, sign_in_id: int, now: datetime) -> None:
    await session.exec(
        update(SignIn)
        .where(col(SignIn.id) == sign_in_id, col(SignIn.ended_at).is_(None))
        .values(ended_at=now)
    )
