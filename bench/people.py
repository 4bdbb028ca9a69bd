"""The people of a benchmark: signed in, each with a wallet that the ledger itself opened."""

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import insert, select

from core.commands import Attempt, Opened, OpenWallet, Outcome, Rendered
from core.money import Money
from core.poster import Poster, PosterLimits
from core.security import AccessTokens
from db.models import Tables
from db.session import Database
from schemas.wallets import WalletOut

CURRENCY: Final = "NGN"
OPENING_MINOR: Final = 10_000_000_000
# Under which everybody opens their wallet: a ledger without another key is unused.
OPENING_KEY: Final = "bench-wallet"
# Longer than any run; the longest that the settings allow.
TOKEN_MINUTES: Final = 1440


@dataclass(frozen=True, slots=True, eq=False)
class Person:
    """Who is sent for: a valid access token, and the wallet it moves."""

    user_id: int
    wallet_id: int
    token: str


async def make_people(database: Database, *, count: int, secret_key: str) -> list[Person]:
    """Make so many people in a database that has none, in the order of their ids."""
    tokens = AccessTokens(secret=secret_key, algorithm="HS256", lifetime_seconds=TOKEN_MINUTES * 60)
    sign_ins = await _sign_in(database, count)
    wallets = await _open_wallets(database, [user_id for user_id, _ in sign_ins])
    return [
        Person(user_id, wallet_id, tokens.issue(user_id=user_id, sign_in_id=sign_in_id))
        for (user_id, sign_in_id), wallet_id in zip(sign_ins, wallets, strict=True)
    ]


async def _sign_in(database: Database, count: int) -> list[tuple[int, int]]:
    """Write people and a sign-in of each; return the ids of both."""
    now = datetime.now(UTC)
    users = [
        {
            "first_name": "Person",
            "last_name": f"Number {number}",
            "email": f"person-{number}@example.com",
            "email_folded": f"person-{number}@example.com",
            "password_hash": None,
            "created_at": now,
        }
        for number in range(1, count + 1)
    ]
    async with database.transaction() as session:
        connection = await session.connection()
        await connection.execute(insert(Tables.users), users)
        user_ids = (await connection.execute(select(Tables.users.c.id))).scalars().all()
        await connection.execute(
            insert(Tables.sign_ins),
            [{"user_id": user_id, "created_at": now} for user_id in sorted(user_ids)],
        )
        rows = await connection.execute(
            select(Tables.sign_ins.c.user_id, Tables.sign_ins.c.id).order_by(
                Tables.sign_ins.c.user_id
            )
        )
        return [(user_id, sign_in_id) for user_id, sign_in_id in rows]


async def _open_wallets(database: Database, user_ids: Sequence[int]) -> list[int]:
    """Open everybody's wallet with money in it, as the API does; return the wallets' ids."""
    wallets: dict[int, int] = {}

    def render(outcome: Outcome) -> Rendered:
        if not isinstance(outcome, Opened):
            raise TypeError(f"A wallet could not be opened: {outcome!r}.")
        wallets[outcome.user_id] = outcome.wallet_id
        return Rendered(201, WalletOut.of(outcome).model_dump_json())

    poster = Poster(database, PosterLimits(deadline_seconds=60))
    try:
        await asyncio.gather(*[poster.post(_opening(user_id, render)) for user_id in user_ids])
    finally:
        await poster.stop()
    return [wallets[user_id] for user_id in user_ids]


def _opening(user_id: int, render: Callable[[Outcome], Rendered]) -> Attempt:
    command = OpenWallet(user_id=user_id, opening=Money(OPENING_MINOR, CURRENCY))
    return Attempt(
        principal_id=user_id,
        key=OPENING_KEY,
        fingerprint=hashlib.sha256(repr(command).encode()).digest(),
        command=command,
        render=render,
    )
