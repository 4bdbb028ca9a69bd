"""The only writer of wallets' balances, transactions, entries and idempotency keys, and of what
must follow them.

`post` settles a batch of attempts inside a transaction that the caller opened and will commit. It
locks the wallets in id order, reads the known keys, lets `core.settlement` decide one attempt
after another in memory, and writes what that recorded.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache

from sqlalchemy import Executable, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel.ext.asyncio.session import AsyncSession

from core.commands import Answer, Attempt, Command, OpenWallet, Rendered, Transfer
from core.errors import IdempotencyKeyReused
from core.postings import Account, Book
from core.records import KeyOfPrincipal
from core.settlement import Remembered, Settlement
from db.arrays import id_among, pair_among
from db.bulk import write
from db.models import Tables
from db.sequences import reserve_ids


async def post(
    session: AsyncSession, attempts: Sequence[Attempt]
) -> list[Answer | IdempotencyKeyReused]:
    """Settle `attempts` in order and return their answers, in the same order.

    Nothing is durable, and so nothing may be answered, before the caller's commit succeeds.
    Raises only what the database raises; refusals are answers, except that a key which stands
    for another request yields IdempotencyKeyReused.
    """
    # The wallets first: a rival with the same key holds the same wallet, so once the lock is ours
    # its key can be seen, and the key's unique constraint is left to catch only the rest.
    connection = await session.connection()
    book = await _lock_wallets(connection, [attempt.command for attempt in attempts])
    remembered = await _read_keys(
        connection, [(attempt.principal_id, attempt.key) for attempt in attempts]
    )
    fresh = [item for item in attempts if (item.principal_id, item.key) not in remembered]
    settlement = Settlement(
        book=book,
        remembered=remembered,
        # Ids are taken under the wallets' locks: for one wallet they grow in commit order.
        transaction_ids=await reserve_ids(connection, Tables.transactions, len(fresh)),
        wallet_ids=await reserve_ids(
            connection, Tables.wallets, sum(isinstance(item.command, OpenWallet) for item in fresh)
        ),
        now=datetime.now(UTC),
    )
    answers = [settlement.settle(attempt) for attempt in attempts]
    for group in settlement.records.groups():
        await write(connection, group)
    return answers


async def read_answer(session: AsyncSession, principal_id: int, key: str) -> Remembered | None:
    """Look up what was answered to a key; None proves nothing while its request is in flight."""
    remembered = await _read_keys(await session.connection(), [(principal_id, key)])
    return remembered.get((principal_id, key))


async def _lock_wallets(connection: AsyncConnection, commands: Sequence[Command]) -> Book:
    """Lock every open wallet the commands name, in id order so that no two batches deadlock."""
    transfers = (command for command in commands if isinstance(command, Transfer))
    rows = await connection.execute(
        _lock_statement(connection.dialect.name),
        {
            "user_ids": list({command.user_id for command in commands}),
            "wallet_ids": list({command.to_wallet_id for command in transfers}),
        },
    )
    return Book(
        Account(
            id=row.id,
            user_id=row.user_id,
            currency=row.currency,
            balance_minor=row.balance_minor,
            may_go_negative=row.may_go_negative,
            frozen=row.frozen_at is not None,
        )
        for row in rows
    )


async def _read_keys(
    connection: AsyncConnection, keys: Sequence[KeyOfPrincipal]
) -> dict[KeyOfPrincipal, Remembered]:
    rows = await connection.execute(
        _keys_statement(connection.dialect.name),
        {
            "principal_ids": [principal_id for principal_id, _ in keys],
            "keys": [key for _, key in keys],
        },
    )
    return {
        (row.principal_id, row.key): Remembered(row.fingerprint, Rendered(row.status, row.body))
        for row in rows
    }


@cache
def _lock_statement(dialect_name: str) -> Executable:
    wallets = Tables.wallets.c
    return (
        select(
            wallets.id,
            wallets.user_id,
            wallets.currency,
            wallets.balance_minor,
            wallets.may_go_negative,
            wallets.frozen_at,
        )
        .where(
            wallets.closed_at.is_(None),
            or_(
                id_among(dialect_name, wallets.user_id, "user_ids"),
                id_among(dialect_name, wallets.id, "wallet_ids"),
            ),
        )
        .order_by(wallets.id)
        .with_for_update()
    )


@cache
def _keys_statement(dialect_name: str) -> Executable:
    keys = Tables.idempotency_keys.c
    return select(keys.principal_id, keys.key, keys.fingerprint, keys.status, keys.body).where(
        pair_among(dialect_name, (keys.principal_id, keys.key), ("principal_ids", "keys"))
    )
