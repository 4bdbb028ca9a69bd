"""Signing up, signing in and out, and looking people up."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Path
from starlette.responses import Response

from core import sign_ins
from core.errors import EmailTaken, InvalidCredentials, InvalidRefreshToken, UserNotFound
from core.people import NewPerson, get_person
from core.people import sign_up as store_person
from dependencies.caller import (
    PUBLIC,
    CallerDep,
    OptionalCallerDep,
    limit_sign_ins,
    limit_signups,
)
from dependencies.services import Services, ServicesDep
from routers.refusals import refusals
from routers.route import WalletRoute
from schemas.people import Person, RefreshIn, SignInForm, SignUp, Tokens

router = APIRouter(route_class=WalletRoute, tags=["People"])


@router.post(
    "/signup",
    status_code=201,
    responses=refusals(EmailTaken),
    dependencies=[Depends(PUBLIC), Depends(limit_signups)],
)
async def sign_up(services: ServicesDep, body: SignUp) -> Person:
    """Sign up with a name, an email address and a password."""
    person = NewPerson(
        first_name=body.first_name,
        last_name=body.last_name,
        email=body.email,
        password_hash=await services.hasher.hash(body.password),
    )
    return Person.of(await store_person(services.database, person))


@router.post(
    "/token",
    responses=refusals(InvalidCredentials),
    dependencies=[Depends(PUBLIC), Depends(limit_sign_ins)],
)
async def sign_in(services: ServicesDep, form: Annotated[SignInForm, Form()]) -> Tokens:
    """Sign in with email and password, sent as a form; use the access token as Bearer."""
    await services.limiter.count_sign_in_to(form.username)
    granted = await sign_ins.sign_in(
        services.database,
        services.hasher,
        email=form.username,
        password=form.password,
        refresh_lifetime=services.settings.refresh_lifetime,
    )
    return tokens_of(services, granted)


@router.post(
    "/token/refresh",
    responses=refusals(InvalidRefreshToken),
    dependencies=[Depends(PUBLIC), Depends(limit_sign_ins)],
)
async def refresh(services: ServicesDep, body: RefreshIn) -> Tokens:
    """Use a refresh token up and get new tokens. One that is used twice ends the sign-in."""
    granted = await sign_ins.refresh(
        services.database,
        body.refresh_token,
        refresh_lifetime=services.settings.refresh_lifetime,
    )
    return tokens_of(services, granted)


@router.post("/logout", status_code=204)
async def sign_out(services: ServicesDep, caller: CallerDep) -> Response:
    """End this sign-in: all of its tokens, at once."""
    await sign_ins.end(services.database, caller.sign_in_id)
    return Response(status_code=204)


@router.get("/users/me")
async def read_me(services: ServicesDep, caller: CallerDep) -> Person:
    """Show who is signed in."""
    async with services.database.reading() as session:
        return Person.of(await get_person(session, caller.user_id))


@router.get("/users/{user_id}", responses=refusals(UserNotFound))
async def read_person(
    services: ServicesDep,
    caller: OptionalCallerDep,
    user_id: Annotated[int, Path(ge=1, le=2**63 - 1)],
) -> Person:
    """Show a person; the email is masked unless it is one's own."""
    async with services.database.reading() as session:
        user = await get_person(session, user_id)
    own = caller is not None and caller.user_id == user.id
    return Person.of(user) if own else Person.masked(user)


def tokens_of(services: Services, granted: sign_ins.Granted) -> Tokens:
    """Return the tokens of a sign-in, however it began."""
    return Tokens(
        access_token=services.tokens.issue(user_id=granted.user_id, sign_in_id=granted.sign_in_id),
        expires_in=services.tokens.lifetime_seconds,
        refresh_token=granted.refresh_token,
    )
