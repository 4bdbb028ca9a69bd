"""How the parameters of a handler get their values, worked out once when the route is made.

FastAPI reads the same annotations to document the route; this module reads them to serve it.
"""

import inspect
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Annotated, Any, Final, get_args, get_origin, get_type_hints

from fastapi import params
from pydantic import BaseModel, TypeAdapter
from starlette.requests import Request

from core.errors import (
    ContentTooLarge,
    IdempotencyInFlight,
    IdempotencyKeyInvalid,
    IdempotencyKeyRequired,
    IdempotencyKeyReused,
    InvalidForm,
    InvalidJson,
    InvalidRequest,
    RateLimited,
    Unauthenticated,
    Unavailable,
    UnsupportedMediaType,
    WalletError,
)
from core.key_errors import (
    ApiKeyExpired,
    ApiKeyInvalid,
    ApiKeyRevoked,
    PermissionDenied,
    TwoCredentials,
)
from dependencies.attempts import key_of_header_or_body, optional_key, required_key
from dependencies.caller import Admission
from dependencies.reading import read_form, read_json, read_path, read_path_id, read_query

Dependency = Callable[[Request], Any]
Check = Callable[[Request], Awaitable[None]]

# What whoever says who they are may be refused with, whoever that is.
_OF_CREDENTIALS: Final = {
    Unauthenticated,
    TwoCredentials,
    ApiKeyInvalid,
    ApiKeyExpired,
    ApiKeyRevoked,
    PermissionDenied,
}
_KEYS: Final = (required_key, optional_key, key_of_header_or_body)
_MARKERS: Final = (params.Depends, params.Param, params.Body)


class Plan:
    """The steps that admit a request to one handler, always in the same order.

    Who asks, how often, what they sent, under which key; only then may anything be looked up.
    Raises TypeError, when the route is made, for a parameter it cannot read, and unless exactly one
    Admission, among the parameters or the checks, says whom the route is for.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], checks: Sequence[params.Depends]):
        self._path = path
        self._dependencies: dict[str, Dependency] = {}
        self._checks: list[Check] = []
        # Under which name the handler takes who asks, None if it does not; and who may ask.
        self._admissions: list[tuple[str | None, Admission]] = []
        self._in_path: dict[str, Callable[[Request, str], Any]] = {}
        self._query: tuple[str, TypeAdapter[Any]] | None = None
        self._json: tuple[str, TypeAdapter[Any]] | None = None
        self._form: tuple[str, TypeAdapter[Any]] | None = None
        self._key: tuple[str, Dependency] | None = None
        for check in checks:
            if isinstance(check.dependency, Admission):
                self._admissions.append((None, check.dependency))
            elif check.dependency:
                self._checks.append(check.dependency)
        hints = get_type_hints(endpoint, include_extras=True)
        for name in inspect.signature(endpoint).parameters:
            self._take(name, hints[name])
        if len(self._admissions) != 1:
            raise TypeError(f"{path}: say whom this route admits, by one Admission.")

    @property
    def key(self) -> Dependency | None:
        """How the handler takes an idempotency key, None if it does not."""
        return self._key[1] if self._key else None

    @property
    def is_cached(self) -> bool:
        """Whether Redis may answer for the handler what was answered before."""
        return self.key in (required_key, optional_key)

    @property
    def admission(self) -> Admission:
        """Whom the route is for."""
        return self._admissions[0][1]

    def errors(self) -> set[type[WalletError]]:
        """Return what any request to this handler may be refused with, whatever it does."""
        errors: set[type[WalletError]] = set()
        if self._dependencies or self.admission.asks:
            errors.add(Unavailable)
        if self.admission.asks:
            errors |= _OF_CREDENTIALS
        if self._checks:
            errors.add(RateLimited)
        if self._in_path or self._query:
            errors.add(InvalidRequest)
        if self._json or self._form:
            errors |= {ContentTooLarge, UnsupportedMediaType, InvalidRequest}
            errors.add(InvalidJson if self._json else InvalidForm)
        if self._key:
            errors |= {IdempotencyKeyInvalid, IdempotencyKeyReused}
        if self.is_cached:
            errors.add(IdempotencyInFlight)
        if self.key is required_key:
            errors.add(IdempotencyKeyRequired)
        return errors

    async def admit(self, request: Request) -> dict[str, Any]:
        """Return the handler's arguments. Raises the refusals of `errors`."""
        arguments: dict[str, Any] = {}
        asker, admission = self._admissions[0]
        if admission.asks:
            caller = await admission(request)
            if asker is not None:
                arguments[asker] = caller
        for name, dependency in self._dependencies.items():
            arguments[name] = dependency(request)
        for check in self._checks:
            await check(request)
        for name, read in self._in_path.items():
            arguments[name] = read(request, name)
        if self._query is not None:
            arguments[self._query[0]] = read_query(request, self._query[1])
        if self._json is not None:
            request.scope["json"] = await read_json(request, self._json[1])
            arguments[self._json[0]] = request.scope["json"]
        if self._form is not None:
            arguments[self._form[0]] = await read_form(request, self._form[1])
        if self._key is not None:
            request.scope["canonical_request"] = self._canonical(request, arguments)
            arguments[self._key[0]] = self._key[1](request)
        return arguments

    def _canonical(self, request: Request, arguments: dict[str, Any]) -> str:
        """Write what was asked so that equal requests are equal texts."""
        body = arguments[self._json[0]].model_dump_json() if self._json else ""
        ids = [arguments[name] for name in self._in_path]
        return f"{request.scope['method']} {self._path} {ids} {body}"

    def _take(self, name: str, hint: Any) -> None:
        """Learn from one parameter's annotation how to read it."""
        kind, marker = hint, None
        others: tuple[Any, ...] = ()
        if get_origin(hint) is Annotated:
            kind, *metadata = get_args(hint)
            # What else stands there says how the value is checked.
            marker = next((item for item in metadata if isinstance(item, _MARKERS)), None)
            others = tuple(item for item in metadata if item is not marker)
        if isinstance(marker, params.Depends) and isinstance(marker.dependency, Admission):
            self._admissions.append((name, marker.dependency))
        elif isinstance(marker, params.Depends) and marker.dependency in _KEYS:
            self._key = (name, marker.dependency)
        elif isinstance(marker, params.Depends) and marker.dependency:
            self._dependencies[name] = marker.dependency
        elif isinstance(marker, params.Path) and kind is int:
            self._in_path[name] = read_path_id
        elif isinstance(marker, params.Path):
            adapter: TypeAdapter[Any] = TypeAdapter(Annotated[kind, *others] if others else kind)
            self._in_path[name] = partial(read_path, adapter=adapter)
        elif isinstance(marker, params.Query):
            self._query = (name, TypeAdapter(kind))
        elif isinstance(marker, params.Form):
            self._form = (name, TypeAdapter(kind))
        elif inspect.isclass(kind) and issubclass(kind, BaseModel):
            self._json = (name, TypeAdapter(kind))
        else:
            raise TypeError(f"{self._path}: this route class cannot read the parameter {name!r}.")
