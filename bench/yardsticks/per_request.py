"""The same transfer as most services write it: one ORM transaction a request, a lock in Redis.

Over the wallet's very own schema, constraints and triggers. It does everything a transfer must
(identity, idempotency, both balances, both entries, receipts promised), and nothing more: no
limits, no metrics, no request ids, no check whether the sign-in has ended.
"""

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated

from fastapi import Depends, FastAPI, Header, HTTPException
from fastapi.security import OAuth2PasswordBearer
from jose import JWTError, jwt
from pydantic import BaseModel, Field
from redis.asyncio import Redis
from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlmodel import col

from config import load_settings
from core.security import AUDIENCE, ISSUER
from db.models import Entry, IdempotencyKey, OutboxItem, Transaction, User, Wallet

LOCK_SECONDS = 30
ANSWER_SECONDS = 24 * 60 * 60

settings = load_settings()
engine = create_async_engine(settings.database_url)
sessions = async_sessionmaker(engine, expire_on_commit=False)
redis = Redis.from_url(settings.redis_url)
bearer = OAuth2PasswordBearer(tokenUrl="token")


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    """Close what is open at the end."""
    yield
    await redis.aclose()
    await engine.dispose()


app = FastAPI(lifespan=lifespan)


class TransferIn(BaseModel):
    """Where to and how much."""

    amount: Annotated[Decimal, Field(gt=0, max_digits=15, decimal_places=2)]
    currency: str
    to_account_id: int


class TransferOut(BaseModel):
    """What was done."""

    wallet_id: int
    recipient_wallet_id: int
    amount: float
    current_balance: float
    transaction_id: int


async def get_session() -> AsyncIterator[AsyncSession]:
    """Open a session for one request."""
    async with sessions() as session:
        yield session


SessionDep = Annotated[AsyncSession, Depends(get_session)]


async def get_user(token: Annotated[str, Depends(bearer)], session: SessionDep) -> User:
    """Authenticate as FastAPI's documentation does."""
    secret = settings.secret_key.get_secret_value()
    try:
        claims = jwt.decode(token, secret, algorithms=["HS256"], audience=AUDIENCE, issuer=ISSUER)
    except JWTError:
        raise HTTPException(401) from None
    user = await session.get(User, int(claims["sub"]))
    if user is None:
        raise HTTPException(401)
    return user


@app.get("/livez")
async def liveness() -> str:
    """Tell that the process is alive."""
    return "ok"


@app.patch("/transaction/transfer")
async def transfer(
    body: TransferIn,
    key: Annotated[str, Header(alias="X-Idempotency-Key", max_length=255)],
    user: Annotated[User, Depends(get_user)],
    session: SessionDep,
) -> TransferOut:
    """Send money to another wallet, once for each key."""
    name = f"{user.id}:{key}"
    if (answer := await redis.get(f"answer:{name}")) is not None:
        return TransferOut.model_validate_json(answer)
    if not await redis.set(f"lock:{name}", "1", nx=True, ex=LOCK_SECONDS):
        raise HTTPException(409, "A request with this key is being worked on.")
    try:
        known = await session.get(IdempotencyKey, (user.id, key))
        if known is not None:
            return TransferOut.model_validate_json(known.body)
        done = await move(session, user, body, key)
        await session.commit()
    finally:
        await redis.delete(f"lock:{name}")
    await redis.set(f"answer:{name}", done.model_dump_json(), ex=ANSWER_SECONDS)
    return done


async def move(session: AsyncSession, user: User, body: TransferIn, key: str) -> TransferOut:
    """Lock both wallets in id order, change their balances and add the rows that record it."""
    payer, payee = await lock_wallets(session, user.id, body)
    now = datetime.now(UTC)
    minor = int(body.amount * 100)
    if payer.balance_minor < minor:
        raise HTTPException(402, "The wallet does not hold enough for this.")
    payer.balance_minor -= minor
    payee.balance_minor += minor
    payer.updated_at = payee.updated_at = now
    made = Transaction(
        type="transfer",
        state="SUCCESS",
        wallet_id=payer.id,
        counterparty_wallet_id=payee.id,
        amount_minor=minor,
        currency=payer.currency,
        created_at=now,
    )
    session.add(made)
    await session.flush()
    done = TransferOut(
        wallet_id=payer.id,
        recipient_wallet_id=payee.id,
        amount=minor / 100,
        current_balance=payer.balance_minor / 100,
        transaction_id=made.id,
    )
    session.add_all(
        [
            entry(made, payer, "DEBIT"),
            entry(made, payee, "CREDIT"),
            receipt(made, payer),
            receipt(made, payee),
            remembered(user, key, body, done),
        ]
    )
    return done


async def lock_wallets(
    session: AsyncSession, user_id: int, body: TransferIn
) -> tuple[Wallet, Wallet]:
    """Return payer's and payee's wallet, both locked."""
    statement = (
        select(Wallet)
        .where(
            col(Wallet.closed_at).is_(None),
            or_(col(Wallet.user_id) == user_id, col(Wallet.id) == body.to_account_id),
        )
        .order_by(col(Wallet.id))
        .with_for_update()
    )
    wallets = (await session.scalars(statement)).all()
    payer = next((wallet for wallet in wallets if wallet.user_id == user_id), None)
    payee = next((wallet for wallet in wallets if wallet.id == body.to_account_id), None)
    if payer is None or payee is None or payer is payee:
        raise HTTPException(404, "There is no such wallet.")
    if not payer.currency == payee.currency == body.currency:
        raise HTTPException(409, "The currencies differ.")
    if payer.frozen_at is not None or payee.frozen_at is not None:
        raise HTTPException(409, "The wallet is frozen.")
    return payer, payee


def entry(made: Transaction, wallet: Wallet, entry_type: str) -> Entry:
    """Return one side of a transaction."""
    return Entry(
        transaction_id=made.id,
        wallet_id=wallet.id,
        entry_type=entry_type,
        amount_minor=made.amount_minor,
        currency=made.currency,
        balance_snapshot_minor=wallet.balance_minor,
        created_at=made.created_at,
    )


def receipt(made: Transaction, wallet: Wallet) -> OutboxItem:
    """Return what promises the wallet's owner a receipt."""
    return OutboxItem(
        transaction_id=made.id,
        user_id=wallet.user_id or 0,
        created_at=made.created_at,
        due_at=made.created_at,
    )


def remembered(user: User, key: str, body: TransferIn, done: TransferOut) -> IdempotencyKey:
    """Return what keeps the answer for ever."""
    return IdempotencyKey(
        principal_id=user.id,
        key=key,
        fingerprint=hashlib.sha256(body.model_dump_json().encode()).digest(),
        status=200,
        body=done.model_dump_json(),
        transaction_id=done.transaction_id,
        created_at=datetime.now(UTC),
    )
