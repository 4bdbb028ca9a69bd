"""A person's wallet: opening, looking at and closing it, and what services do with it for them."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from core.account_errors import AccountNotFound
from core.commands import Closed, CloseWallet, Moved, OpenWallet, Primary
from core.errors import (
    BalanceLimitExceeded,
    CurrencyMismatch,
    DirectFundingDisabled,
    InsufficientFunds,
    InvalidCursor,
    RecipientNotFound,
    SelfTransfer,
    WalletError,
    WalletExists,
    WalletFrozen,
    WalletNotEmpty,
    WalletNotFound,
)
from core.history import read_history
from core.payment_errors import PaymentUnderWay
from core.people import get_person
from dependencies.attempts import OptionalKeyDep
from dependencies.caller import CallerDep, PayerDep, ReaderDep, limit_transactions
from dependencies.services import ServicesDep
from routers.refusals import refusals
from routers.route import WalletRoute
from schemas.transactions import HistoryOut, HistoryQuery
from schemas.transfers import WalletTransferIn, WalletTransferOut
from schemas.wallets import Message, OpenWalletIn, WalletBalanceOut, WalletDetails, WalletOut

router = APIRouter(route_class=WalletRoute, tags=["Wallet"])


@router.post(
    "/wallet",
    status_code=201,
    response_model=WalletOut,
    responses=refusals(WalletExists, DirectFundingDisabled),
    dependencies=[Depends(limit_transactions)],
)
async def open_wallet(
    services: ServicesDep, caller: CallerDep, body: OpenWalletIn, pending: OptionalKeyDep
) -> Response:
    """Open one's wallet. A balance above 0 is posted as an opening deposit."""
    if body.opening.minor > 0 and not services.settings.direct_funding_allowed:
        raise DirectFundingDisabled
    command = OpenWallet(user_id=caller.user_id, opening=body.opening)
    return await pending.post(command, WalletOut.of, status=201)


@router.get("/wallet", responses=refusals(WalletNotFound))
async def read_wallet(services: ServicesDep, caller: CallerDep) -> WalletDetails:
    """Show one's wallet and its balance."""
    return WalletDetails.of_owner(await services.wallets.of_person(caller.user_id))


@router.delete(
    "/wallet",
    response_model=Message,
    responses=refusals(WalletNotFound, WalletNotEmpty, WalletFrozen, PaymentUnderWay),
    dependencies=[Depends(limit_transactions)],
)
async def close_wallet(
    services: ServicesDep, caller: CallerDep, pending: OptionalKeyDep
) -> Response:
    """Close one's empty wallet. Its history stays, and a new one may be opened."""
    async with services.database.reading() as session:
        owner = await get_person(session, caller.user_id)
    name = f"{owner.first_name} {owner.last_name}"

    def show(_closed: Closed) -> Message:
        return Message(message=f"wallet belonging to {name} deleted successfully")

    return await pending.post(CloseWallet(wallet=Primary(caller.user_id)), show)


@router.get("/wallet/balance", responses=refusals(WalletNotFound))
async def read_wallet_balance(services: ServicesDep, caller: ReaderDep) -> WalletBalanceOut:
    """Show what one's wallet holds; a service needs permission `read`."""
    return WalletBalanceOut.of(await services.wallets.of_person(caller.principal_id))


@router.post(
    "/wallet/transfer",
    response_model=WalletTransferOut,
    responses=refusals(
        WalletNotFound,
        AccountNotFound,
        RecipientNotFound,
        SelfTransfer,
        CurrencyMismatch,
        WalletFrozen,
        InsufficientFunds,
        BalanceLimitExceeded,
    ),
    dependencies=[Depends(limit_transactions)],
)
async def transfer_from_wallet(
    services: ServicesDep, caller: PayerDep, body: WalletTransferIn, pending: OptionalKeyDep
) -> Response:
    """Send money from one's wallet to another; a service needs permission `transfer`."""

    def show(moved: Moved) -> WalletTransferOut:
        return WalletTransferOut.of(moved, body)

    try:
        command = body.command(await services.wallets.of_person(caller.principal_id))
    except WalletError as refusal:
        return await pending.repeat_or_refuse(refusal)
    return await pending.post(command, show)


@router.get("/wallet/transactions", responses=refusals(InvalidCursor))
async def list_wallet_transactions(
    services: ServicesDep, caller: ReaderDep, query: Annotated[HistoryQuery, Query()]
) -> HistoryOut:
    """List the transactions of one's wallet; a service needs permission `read`."""
    async with services.database.lean_turn() as connection:
        items, next_cursor = await read_history(
            connection, caller.principal_id, query.page(), primary_only=True
        )
    return HistoryOut.of(items, query, next_cursor)
