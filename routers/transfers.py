"""Transfers between accounts, by their numbers."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path
from starlette.responses import Response

from core.account_errors import (
    AccountNotFound,
    AssetNotTransferable,
    TransferNotFound,
)
from core.commands import Moved
from core.errors import (
    BalanceLimitExceeded,
    CurrencyMismatch,
    InsufficientFunds,
    RecipientNotFound,
    SelfTransfer,
    WalletFrozen,
)
from core.public_ids import Kind, read_public_id
from core.transfers import read_transfer
from dependencies.attempts import RequiredKeyDep
from dependencies.caller import CallerDep, limit_transactions
from dependencies.services import ServicesDep
from routers.refusals import refusals
from routers.route import WalletRoute
from schemas.strict import PublicId
from schemas.transfers import AccountTransferIn, AccountTransferOut, transfer_problem

router = APIRouter(prefix="/transfers", route_class=WalletRoute, tags=["Transfers"])


@router.post(
    "",
    status_code=201,
    response_model=AccountTransferOut,
    responses=refusals(
        AccountNotFound,
        RecipientNotFound,
        SelfTransfer,
        CurrencyMismatch,
        AssetNotTransferable,
        WalletFrozen,
        InsufficientFunds,
        BalanceLimitExceeded,
    ),
    dependencies=[Depends(limit_transactions)],
)
async def make_transfer(
    caller: CallerDep, body: AccountTransferIn, pending: RequiredKeyDep
) -> Response:
    """Send money from one of one's accounts to any other of the same currency.

    What is refused on an account of one's own is recorded as FAILED, with a `transfer_id`.
    """

    def show(moved: Moved) -> AccountTransferOut:
        return AccountTransferOut.of_moved(moved, body)

    command = body.command(caller.user_id)
    return await pending.post(command, show, status=201, refuse=transfer_problem)


@router.get("/{transfer_id}", responses=refusals(TransferNotFound))
async def show_transfer(
    services: ServicesDep,
    caller: CallerDep,
    transfer_id: Annotated[PublicId, Path(examples=["019c13ec-9e00-7000-9000-000000000001"])],
) -> AccountTransferOut:
    """Show a transfer that one has a part in; a failed one only to who asked for it."""
    named = read_public_id(Kind.TRANSFER, transfer_id)
    if named is None:
        raise TransferNotFound
    async with services.database.lean_turn() as connection:
        return AccountTransferOut.of(await read_transfer(connection, caller.user_id, *named))
