"""A person's wallet: opening, looking at and closing it."""

from fastapi import APIRouter, Depends
from starlette.responses import Response

from core.commands import Closed, CloseWallet, OpenWallet, Primary
from core.errors import (
    DirectFundingDisabled,
    WalletExists,
    WalletFrozen,
    WalletNotEmpty,
    WalletNotFound,
)
from core.payment_errors import PaymentUnderWay
from core.people import get_person
from dependencies.attempts import OptionalKeyDep
from dependencies.caller import CallerDep, limit_transactions
from dependencies.services import ServicesDep
from routers.refusals import refusals
from routers.route import WalletRoute
from schemas.wallets import Message, OpenWalletIn, WalletDetails, WalletOut

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
