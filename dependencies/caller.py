"""Who is asking, a person by a Bearer token or a service by an API key, and whom a route admits."""

from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import Depends
from starlette.requests import Request

from core import log_context
from core.api_keys import Permission
from core.commands import HOUSE
from core.errors import DirectFundingDisabled, Unauthenticated
from core.key_check import KeyHolder
from core.key_errors import ApiKeyInvalid, PermissionDenied, TwoCredentials
from dependencies.services import services_of

_SCHEME: Final = "bearer "


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated person and the sign-in they use."""

    user_id: int
    sign_in_id: int

    @property
    def principal_id(self) -> int:
        """Whose idempotency keys these are."""
        return self.user_id


@dataclass(frozen=True, slots=True)
class Service:
    """A service that holds a valid key and acts for the key's owner."""

    holder: KeyHolder

    @property
    def principal_id(self) -> int:
        """Whose idempotency keys these are: the owner's, whichever of their keys is used."""
        owner_id = self.holder.owner_id
        return HOUSE if owner_id is None else owner_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """Whom a route admits; called, it returns who sent the request, None if they do not say.

    `person`: whoever is signed in; `permission`: a key that has it; `nobody`: whoever sends neither
    token nor key. Nothing but `nobody` means that neither is looked at.
    """

    person: bool = False
    permission: Permission | None = None
    nobody: bool = False

    @property
    def asks(self) -> bool:
        """Whether it matters who asks."""
        return self.person or self.permission is not None

    async def __call__(self, request: Request) -> Caller | Service | None:
        """Return who sent the request.

        Raises Unauthenticated, TwoCredentials, PermissionDenied and what a key is refused with.
        """
        headers = request.scope["headers"]
        tokens = [value for name, value in headers if name == b"authorization"]
        keys = [value for name, value in headers if name == b"x-api-key"]
        if tokens and keys:
            raise TwoCredentials
        if not tokens and not keys:
            self._check_nobody()
            return None
        caller = await (_person(request, tokens) if tokens else _service(request, keys))
        if not self._admits(caller):
            raise PermissionDenied
        request.scope["caller"] = caller
        return caller

    def _admits(self, caller: Caller | Service) -> bool:
        if isinstance(caller, Caller):
            return self.person
        return self.permission in caller.holder.permissions

    def _check_nobody(self) -> None:
        if not self.nobody:
            how = f"Send an API key with permission `{self.permission}` as `x-api-key`."
            raise Unauthenticated(None if self.person else how)


PUBLIC: Final = Admission(nobody=True)
PERSON: Final = Admission(person=True)
PERSON_OR_NOBODY: Final = Admission(person=True, nobody=True)
CREDITS: Final = Admission(permission=Permission.CREDITS)
DEPOSITS: Final = Admission(person=True, permission=Permission.DEPOSIT)
TRANSFERS: Final = Admission(person=True, permission=Permission.TRANSFER)
READS: Final = Admission(person=True, permission=Permission.READ)

CallerDep = Annotated[Caller, Depends(PERSON)]
OptionalCallerDep = Annotated[Caller | None, Depends(PERSON_OR_NOBODY)]
# A person, or a service acting for one: `principal_id` is whose wallet it is about.
DepositorDep = Annotated[Caller | Service, Depends(DEPOSITS)]
PayerDep = Annotated[Caller | Service, Depends(TRANSFERS)]
ReaderDep = Annotated[Caller | Service, Depends(READS)]


async def limit_transactions(request: Request) -> None:
    """Count a movement of money of the caller, who is known by now. Raises RateLimited.

    What a person's key moves is the person's movement too: keys do not multiply what one may do.
    """
    caller: Caller | Service = request.scope["caller"]
    limiter = services_of(request).limiter
    if isinstance(caller, Service):
        await limiter.count_transaction_by_key(caller.holder.key_id)
    if caller.principal_id != HOUSE:
        await limiter.count_transaction(caller.principal_id)


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


async def _person(request: Request, tokens: list[bytes]) -> Caller:
    """Return the person whose token this is, still signed in; two tokens are nobody's."""
    header = tokens[0].decode("latin-1")
    if len(tokens) > 1 or header[: len(_SCHEME)].lower() != _SCHEME:
        raise Unauthenticated
    services = services_of(request)
    claims = services.tokens.verify(header[len(_SCHEME) :])
    if not await services.sign_in_check.lasts(claims.sign_in_id):
        raise Unauthenticated
    log_context.add(user_id=claims.user_id)
    return Caller(claims.user_id, claims.sign_in_id)


async def _service(request: Request, keys: list[bytes]) -> Service:
    """Return the service whose key this is; two keys are nobody's."""
    if len(keys) > 1:
        raise ApiKeyInvalid
    holder = await services_of(request).key_check.identify(keys[0].decode("latin-1"))
    log_context.add(api_key_id=holder.key_id)
    return Service(holder)


def _address(request: Request) -> str:
    client = request.scope.get("client")
    return str(client[0]) if client else "unknown"
