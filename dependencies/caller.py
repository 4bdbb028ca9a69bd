"""Who is asking: the person behind the Bearer token, still signed in."""

from dataclasses import dataclass
from typing import Annotated, Final

import structlog
from fastapi import Depends
from starlette.requests import Request

from core.errors import DirectFundingDisabled, Unauthenticated
from dependencies.services import services_of

_SCHEME: Final = "bearer "


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated person and the sign-in they use."""

    user_id: int
    sign_in_id: int


async def require_caller(request: Request) -> Caller:
    """Return who sent the request. Raises Unauthenticated."""
    header = _authorization(request)
    if header is None or header[: len(_SCHEME)].lower() != _SCHEME:
        raise Unauthenticated
    services = services_of(request)
    claims = services.tokens.verify(header[len(_SCHEME) :])
    if not await services.sign_in_check.lasts(claims.sign_in_id):
        raise Unauthenticated
    caller = Caller(claims.user_id, claims.sign_in_id)
    request.scope["caller"] = caller
    structlog.contextvars.bind_contextvars(user_id=caller.user_id)
    return caller


async def optional_caller(request: Request) -> Caller | None:
    """Return who sent the request, None if they do not say. Raises Unauthenticated for a lie."""
    return None if _authorization(request) is None else await require_caller(request)


async def limit_transactions(request: Request) -> None:
    """Count a movement of money of the caller, who is known by now. Raises RateLimited."""
    caller: Caller = request.scope["caller"]
    await services_of(request).limiter.count_transaction(caller.user_id)


async def require_direct_funding(request: Request) -> None:
    """Let a deposit pass that no payment provider paid for. Raises DirectFundingDisabled."""
    if not services_of(request).settings.direct_funding_allowed:
        raise DirectFundingDisabled


async def limit_signups(request: Request) -> None:
    """Count a sign-up from this address. Raises RateLimited."""
    await services_of(request).limiter.count_signup(_address(request))


async def limit_sign_ins(request: Request) -> None:
    """Count a sign-in from this address. Raises RateLimited."""
    await services_of(request).limiter.count_sign_in_from(_address(request))


def _address(request: Request) -> str:
    client = request.scope.get("client")
    return str(client[0]) if client else "unknown"


def _authorization(request: Request) -> str | None:
    """Return the Authorization header; two of them are nobody's."""
    found = [value for name, value in request.scope["headers"] if name == b"authorization"]
    if len(found) > 1:
        raise Unauthenticated
    return found[0].decode("latin-1") if found else None


CallerDep = Annotated[Caller, Depends(require_caller)]
OptionalCallerDep = Annotated[Caller | None, Depends(optional_caller)]
