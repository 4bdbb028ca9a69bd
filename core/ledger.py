"""The only writer of wallets' balances, transactions, entries and idempotency keys, and of what
must follow them.

`post` settles a batch of attempts inside a transaction that the caller opened and will commit. It
locks the wallets and reads the known keys in one look, lets `core.settlement` decide one attempt
after another in memory, and writes what that recorded.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from core import look
from core.commands import Attempt, CloseWallet, Settled
from core.settlement import NewAccounts, Remembered, Settlement
from db.bulk import write
from db.lean import LeanConnection
from db.models import Tables
from db.sequences import reserve_ids


async def post(
    connection: LeanConnection,
    attempts: Sequence[Attempt],
    looked: Callable[[float], None] = lambda _seconds: None,
) -> list[Settled]:
    """Settle `attempts` in order and return their answers, in the same order.

    `looked` is told how long the look took in the server, if that tells.

    Nothing is durable, and so nothing may be answered, before the caller's commit succeeds.
    Raises only what the database raises; refusals are answers, except that a key which stands
    for another request yields IdempotencyKeyReused, and what ends a payment but cannot be booked
    now yields the reason.
    """
    seen = await look.at_batch(connection, attempts)
    if seen.took_seconds is not None:
        looked(seen.took_seconds)
    needed = NewAccounts.of(attempts, seen.book)
    if needed.owners:
        seen.book.open_accounts.update(await look.count_open(connection, needed.owners))
    if any(isinstance(attempt.command, CloseWallet) for attempt in attempts):
        pending = await look.count_pending_payments(connection, seen.book.wallet_ids())
        seen.book.pending_payments.update(pending)
    settlement = Settlement(
        book=seen.book,
        remembered=seen.remembered,
        transaction_ids=seen.transaction_ids,
        wallet_ids=await reserve_ids(connection, Tables.wallets, needed.accounts),
        holder_ids=await reserve_ids(connection, Tables.credit_holders, needed.holders),
        # A clock may be behind that of another process: for one wallet time never goes back.
        now=max(datetime.now(UTC), seen.newest) if seen.newest else datetime.now(UTC),
    )
    answers = [settlement.settle(attempt) for attempt in attempts]
    for group in settlement.records.groups():
        await write(connection, group)
    return answers


async def read_answer(connection: LeanConnection, principal_id: int, key: str) -> Remembered | None:
    """Look up what was answered to a key; None proves nothing while its request is in flight."""
    return await look.at_key(connection, principal_id, key)
