"""Signing in with Google: there, back, and linking an account that was here before."""

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query
from starlette.responses import RedirectResponse, Response

from core.errors import WalletError
from core.google_errors import (
    GoogleAccountTaken,
    GoogleEmailUnverified,
    GoogleSignInDeclined,
    GoogleSignInDisabled,
    GoogleSignInFailed,
    GoogleStateInvalid,
    GoogleUnavailable,
    LinkConfirmationRequired,
    LinkTokenInvalid,
)
from core.identity_providers import Profile
from dependencies.caller import PUBLIC, CallerDep, limit_sign_ins
from dependencies.google import Visit, VisitDep
from dependencies.services import ServicesDep
from routers.people import tokens_of
from routers.refusals import refusals
from routers.route import WalletRoute
from schemas.google import FromGoogle, Linked, LinkIn
from schemas.people import Tokens
from schemas.prepared import JSON_HEADERS, NO_STORE, PreparedResponse
from schemas.problem import problem_response

router = APIRouter(route_class=WalletRoute, tags=["Google"])

_OF_CALLBACK: Final = refusals(
    GoogleSignInDisabled,
    GoogleStateInvalid,
    GoogleSignInDeclined,
    GoogleSignInFailed,
    GoogleEmailUnverified,
    LinkConfirmationRequired,
    GoogleUnavailable,
)


@router.get(
    "/auth/google",
    status_code=302,
    response_class=RedirectResponse,
    responses=refusals(GoogleSignInDisabled, GoogleUnavailable),
    dependencies=[Depends(PUBLIC), Depends(limit_sign_ins)],
)
async def begin_google_sign_in(visit: VisitDep) -> Response:
    """Begin a sign-in: sends the browser to Google, and keeps in a cookie that it was sent."""
    challenge, keeping = visit.new_challenge()
    address = await visit.provider.address(challenge)
    headers = [(b"location", address.encode("ascii")), keeping, NO_STORE]
    return PreparedResponse(b"", headers, status=302)


@router.get(
    "/auth/google/callback",
    response_model=Tokens,
    responses=_OF_CALLBACK,
    dependencies=[Depends(PUBLIC), Depends(limit_sign_ins)],
)
@router.post(
    "/auth/google/callback",
    response_model=Tokens,
    responses=_OF_CALLBACK,
    dependencies=[Depends(PUBLIC), Depends(limit_sign_ins)],
)
async def end_google_sign_in(
    services: ServicesDep, visit: VisitDep, query: Annotated[FromGoogle, Query()]
) -> Response:
    """End a sign-in: what Google sent the browser back with becomes tokens, as of `POST /token`.

    Whoever is new gets an account and a wallet.
    """
    try:
        granted = await services.google.identities.sign_in(await _identify(visit, query))
    except WalletError as error:
        return problem_response(error, visit.request_id, [visit.forgetting])
    body = tokens_of(services, granted).model_dump_json().encode()
    return PreparedResponse(body, [*JSON_HEADERS, visit.forgetting], status=200)


@router.post("/auth/google/link", responses=refusals(LinkTokenInvalid, GoogleAccountTaken))
async def link_google_account(services: ServicesDep, caller: CallerDep, body: LinkIn) -> Linked:
    """Confirm by the `link_token` of a 409 that a Google account is one's own; it signs in then."""
    await services.google.identities.link(body.link_token, user_id=caller.user_id)
    return Linked()


async def _identify(visit: Visit, query: FromGoogle) -> Profile:
    challenge = visit.challenge_of(query.state)
    if query.error:
        # Only to whoever was sent there: anybody can make somebody open such an address.
        raise GoogleStateInvalid if challenge is None else GoogleSignInDeclined
    return await visit.provider.identify(query.code, challenge)
