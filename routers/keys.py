"""People's own API keys: for people alone, since a key that could make keys would never end."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query

from core import own_keys
from core.errors import InvalidCursor
from core.key_errors import (
    ApiKeyAlreadyRevoked,
    ApiKeyNotExpired,
    ApiKeyNotFound,
    TooManyApiKeys,
)
from dependencies.caller import CallerDep, limit_transactions
from dependencies.services import ServicesDep
from routers.refusals import refusals
from routers.route import WalletRoute
from schemas.keys import CreateKeyIn, KeyOut, KeysOut, MadeKeyOut, RevokedKeyOut, RollOverIn
from schemas.paging import PageQuery

router = APIRouter(prefix="/keys", route_class=WalletRoute, tags=["Keys"])


@router.post(
    "/create",
    status_code=201,
    responses=refusals(TooManyApiKeys),
    dependencies=[Depends(limit_transactions)],
)
async def create_key(services: ServicesDep, caller: CallerDep, body: CreateKeyIn) -> MadeKeyOut:
    """Make a key that acts for you. It is shown only in this answer; five may be active."""
    new = body.new_key(services.settings.api_key_prefix)
    return MadeKeyOut.of(await own_keys.make_own(services.database, caller.user_id, new))


@router.get("/list", responses=refusals(InvalidCursor))
async def list_keys(
    services: ServicesDep, caller: CallerDep, query: Annotated[PageQuery, Query()]
) -> KeysOut:
    """List one's keys, newest first, those that have ended too; never their secrets."""
    prefix = services.settings.api_key_prefix
    async with services.database.reading() as session:
        keys, next_cursor = await own_keys.list_own(session, caller.user_id, query.part)
    return KeysOut.model_construct(
        keys=[KeyOut.of(key, prefix) for key in keys],
        limit=query.limit,
        offset=query.offset,
        next_cursor=next_cursor,
    )


@router.post(
    "/rollover",
    status_code=201,
    responses=refusals(ApiKeyNotFound, ApiKeyAlreadyRevoked, ApiKeyNotExpired, TooManyApiKeys),
    dependencies=[Depends(limit_transactions)],
)
async def roll_key_over(services: ServicesDep, caller: CallerDep, body: RollOverIn) -> MadeKeyOut:
    """Replace an expired key by one with the same name and permissions, once; shown only here."""
    rollover = body.rollover(services.settings.api_key_prefix)
    return MadeKeyOut.of(await own_keys.roll_over(services.database, caller.user_id, rollover))


@router.post(
    "/revoke/{key_id}",
    responses=refusals(ApiKeyNotFound),
    dependencies=[Depends(limit_transactions)],
)
async def revoke_key(
    services: ServicesDep,
    caller: CallerDep,
    key_id: Annotated[int, Path(ge=1, le=2**63 - 1, examples=[1])],
) -> RevokedKeyOut:
    """End one of one's keys, for good and from the next request on; again changes nothing."""
    return RevokedKeyOut.of(await own_keys.revoke_own(services.database, caller.user_id, key_id))
