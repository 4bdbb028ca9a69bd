"""Moving money, and what has moved."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from starlette.responses import Response

from core import commands
from core.errors import (
    BalanceLimitExceeded,
    CurrencyMismatch,
    DirectFundingDisabled,
    InsufficientFunds,
    InvalidCursor,
    RecipientNotFound,
    SelfTransfer,
    TransactionNotFound,
    WalletFrozen,
    WalletNotFound,
)
from core.history import read_entries, read_history
from dependencies.attempts import RequiredKeyDep
from dependencies.caller import CallerDep, limit_transactions, require_direct_funding
from dependencies.services import ServicesDep
from routers.refusals import refusals
from routers.route import WalletRoute
from schemas.strict import MoneyIn
from schemas.transactions import (
    EntryOut,
    HistoryOut,
    HistoryQuery,
    MovementOut,
    TransferIn,
    TransferOut,
)

router = APIRouter(prefix="/transaction", route_class=WalletRoute, tags=["Transactions"])


@router.patch(
    "/deposit",
    response_model=MovementOut,
    responses=refusals(
        DirectFundingDisabled, WalletNotFound, CurrencyMismatch, WalletFrozen, BalanceLimitExceeded
    ),
    dependencies=[Depends(require_direct_funding), Depends(limit_transactions)],
)
async def deposit(caller: CallerDep, body: MoneyIn, pending: RequiredKeyDep) -> Response:
    """Put money into one's wallet from the outside world."""
    return await pending.post(
        commands.deposit(user_id=caller.user_id, money=body.money), MovementOut.of
    )


@router.patch(
    "/withdraw",
    response_model=MovementOut,
    responses=refusals(WalletNotFound, CurrencyMismatch, WalletFrozen, InsufficientFunds),
    dependencies=[Depends(limit_transactions)],
)
async def withdraw(caller: CallerDep, body: MoneyIn, pending: RequiredKeyDep) -> Response:
    """Take money out of one's wallet."""
    return await pending.post(
        commands.withdraw(user_id=caller.user_id, money=body.money), MovementOut.of
    )


@router.patch(
    "/transfer",
    response_model=TransferOut,
    responses=refusals(
        WalletNotFound,
        RecipientNotFound,
        SelfTransfer,
        CurrencyMismatch,
        WalletFrozen,
        InsufficientFunds,
        BalanceLimitExceeded,
    ),
    dependencies=[Depends(limit_transactions)],
)
async def transfer(caller: CallerDep, body: TransferIn, pending: RequiredKeyDep) -> Response:
    """Send money to another wallet of the same currency."""
    command = commands.transfer(
        user_id=caller.user_id, to_wallet_id=body.to_account_id, money=body.money
    )
    return await pending.post(command, TransferOut.of)


@router.get("/history", responses=refusals(InvalidCursor))
async def history(
    services: ServicesDep, caller: CallerDep, query: Annotated[HistoryQuery, Query()]
) -> HistoryOut:
    """List one's transactions, newest first, failed attempts included."""
    async with services.database.lean_turn() as connection:
        items, next_cursor = await read_history(connection, caller.user_id, query.page())
    return HistoryOut.of(items, query, next_cursor)


@router.get("/{transaction_id}/ledger", responses=refusals(TransactionNotFound))
async def ledger(
    services: ServicesDep,
    caller: CallerDep,
    transaction_id: Annotated[int, Path(ge=1, le=2**63 - 1)],
) -> list[EntryOut]:
    """Show both entries of a transaction one has a part in, debit first."""
    async with services.database.lean_turn() as connection:
        entries = await read_entries(connection, caller.user_id, transaction_id)
    return [EntryOut.of(entry) for entry in entries]
