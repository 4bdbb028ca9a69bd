"""Credits of a closed loop: services give them to those whom they name, and take them back."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from starlette.responses import Response

from core.account_errors import AssetNotFound, CreditUserNotFound
from core.assets import Asset
from core.commands import CreditType, move_credits
from core.credits import read_balance, read_ledger, read_transactions
from core.errors import BalanceLimitExceeded, InsufficientFunds, InvalidCursor, WalletFrozen
from dependencies.attempts import Pending, UncachedKeyDep
from dependencies.caller import CREDITS, limit_transactions
from dependencies.services import Services, ServicesDep
from routers.refusals import refusals
from routers.route import WalletRoute
from schemas.credits import (
    EXTERNAL_USER_ID_SCHEMA,
    AsExternalUserId,
    AssetOut,
    AssetQuery,
    CreditBalanceOut,
    CreditEntryOut,
    CreditLedgerOut,
    CreditsIn,
    CreditsMovedOut,
    CreditsQuery,
    CreditTransactionOut,
    CreditTransactionsOut,
)

router = APIRouter(
    prefix="/api/v1", route_class=WalletRoute, tags=["Credits"], dependencies=[Depends(CREDITS)]
)

OF_USER = "/wallets/users/{external_user_id}"
ExternalUserId = Annotated[str, Path(), AsExternalUserId, EXTERNAL_USER_ID_SCHEMA]


@router.get("/assets")
async def list_assets(services: ServicesDep) -> list[AssetOut]:
    """List the kinds of credits there are."""
    return [AssetOut.of(asset) for asset in await services.assets.all_credits()]


@router.get(f"{OF_USER}/balance", responses=refusals(AssetNotFound, CreditUserNotFound))
async def read_credits(
    services: ServicesDep,
    external_user_id: ExternalUserId,
    query: Annotated[AssetQuery, Query()],
) -> CreditBalanceOut:
    """Show what somebody holds of an asset."""
    asset = await services.assets.credit(query.asset_type_id)
    async with services.database.lean_turn() as connection:
        found = await read_balance(connection, external_user_id, asset)
    return CreditBalanceOut.of(external_user_id, asset, found)


@router.post(
    f"{OF_USER}/top-up",
    status_code=201,
    response_model=CreditsMovedOut,
    responses=refusals(AssetNotFound, WalletFrozen, BalanceLimitExceeded),
    dependencies=[Depends(limit_transactions)],
)
async def top_up(
    services: ServicesDep,
    external_user_id: ExternalUserId,
    body: CreditsIn,
    pending: UncachedKeyDep,
) -> Response:
    """Give somebody credits that they paid for. The first time makes them known."""
    return await _move("top_up", services, external_user_id, body, pending)


@router.post(
    f"{OF_USER}/bonus",
    status_code=201,
    response_model=CreditsMovedOut,
    responses=refusals(AssetNotFound, WalletFrozen, BalanceLimitExceeded),
    dependencies=[Depends(limit_transactions)],
)
async def give_bonus(
    services: ServicesDep,
    external_user_id: ExternalUserId,
    body: CreditsIn,
    pending: UncachedKeyDep,
) -> Response:
    """Give somebody credits for nothing. The first time makes them known."""
    return await _move("bonus", services, external_user_id, body, pending)


@router.post(
    f"{OF_USER}/spend",
    status_code=201,
    response_model=CreditsMovedOut,
    responses=refusals(AssetNotFound, CreditUserNotFound, WalletFrozen, InsufficientFunds),
    dependencies=[Depends(limit_transactions)],
)
async def spend(
    services: ServicesDep,
    external_user_id: ExternalUserId,
    body: CreditsIn,
    pending: UncachedKeyDep,
) -> Response:
    """Take credits from somebody, for what they bought."""
    return await _move("spend", services, external_user_id, body, pending)


@router.get(
    f"{OF_USER}/transactions", responses=refusals(AssetNotFound, CreditUserNotFound, InvalidCursor)
)
async def list_transactions(
    services: ServicesDep,
    external_user_id: ExternalUserId,
    query: Annotated[CreditsQuery, Query()],
) -> CreditTransactionsOut:
    """List what was given to somebody and taken, newest first, failed attempts included."""
    page = query.page(await _asked_asset(services, query))
    async with services.database.lean_turn() as connection:
        found, next_cursor = await read_transactions(connection, external_user_id, page)
    return CreditTransactionsOut(
        transactions=[CreditTransactionOut.of(item) for item in found],
        limit=query.limit,
        offset=query.offset,
        next_cursor=next_cursor,
    )


@router.get(
    f"{OF_USER}/ledger", responses=refusals(AssetNotFound, CreditUserNotFound, InvalidCursor)
)
async def list_entries(
    services: ServicesDep,
    external_user_id: ExternalUserId,
    query: Annotated[CreditsQuery, Query()],
) -> CreditLedgerOut:
    """List the entries on somebody's accounts with the balance after each, newest first."""
    page = query.page(await _asked_asset(services, query))
    async with services.database.lean_turn() as connection:
        found, next_cursor = await read_ledger(connection, external_user_id, page)
    return CreditLedgerOut(
        entries=[CreditEntryOut.of(item) for item in found],
        limit=query.limit,
        offset=query.offset,
        next_cursor=next_cursor,
    )


async def _asked_asset(services: Services, query: CreditsQuery) -> Asset | None:
    if query.asset_type_id is None:
        return None
    return await services.assets.credit(query.asset_type_id)


async def _move(
    type_: CreditType,
    services: Services,
    external_user_id: str,
    body: CreditsIn,
    pending: Pending,
) -> Response:
    """Post the movement; who repeats a request is told what is held now."""
    asset = await services.assets.credit(body.asset_type_id)
    minor = body.minor_of(asset)

    async def renew(told: str) -> str:
        async with services.database.lean_turn() as connection:
            found = await read_balance(connection, external_user_id, asset)
        return CreditsMovedOut.renewed(told, asset, found)

    return await pending.post(
        move_credits(type_, external_user_id=external_user_id, asset=asset, minor=minor),
        partial(CreditsMovedOut.of, external_user_id, asset, type_),
        status=201,
        renew=renew,
    )
