"""Under which idempotency key a request acts, and handing its command to the ledger."""

import hashlib
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final
from uuid import uuid4

from fastapi import Depends
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from core.commands import Answer, Attempt, Command, Outcome, Refused, Rendered
from core.errors import IdempotencyKeyInvalid, IdempotencyKeyRequired, WalletError
from dependencies.caller import Caller, Service
from dependencies.services import services_of
from middleware.answer_cache import KeyedRequest
from middleware.idempotency import FRESH, FROM_DATABASE, answer_response
from schemas.problem import problem_body

# Takes the text of a first answer and returns it as it would be now.
Renew = Callable[[str], Awaitable[str]]

_HEADERS: Final = (b"x-idempotency-key", b"idempotency-key")
_KEY_BYTES_LIMIT: Final = 255
_VISIBLE_ASCII: Final = frozenset(range(0x21, 0x7F))


def _problem(refused: Refused, request_id: str) -> str:
    return problem_body(refused.error, request_id)


class Pending:
    """A request that is about to act: under its own key, or under one made for it alone."""

    def __init__(self, request: Request, keyed: KeyedRequest):
        self._poster = services_of(request).poster
        self._answers = services_of(request).answers
        self._request_id: str = request.scope["request_id"]
        self._keyed = keyed

    async def post(
        self,
        command: Command,
        show: Callable[[Any], BaseModel],
        *,
        status: int = 200,
        refuse: Callable[[Refused, str], str] = _problem,
        renew: Renew | None = None,
    ) -> Response:
        """Settle `command` and respond with its answer, as `settle` does.

        `renew` makes a first answer's text one for now, when a success is answered again; only for
        what takes its key by `UncachedKeyDep`, since Redis' copy is the first answer.
        """
        answer = await self.settle(command, show, status=status, refuse=refuse)
        if renew is not None and answer.replayed and answer.status == status:
            answer = answer._replace(body=await renew(answer.body))
        return self.respond(answer)

    async def settle(
        self,
        command: Command,
        show: Callable[[Any], BaseModel],
        *,
        status: int = 200,
        refuse: Callable[[Refused, str], str] = _problem,
    ) -> Answer:
        """Settle `command` and return the answer: as `show` words it, or `refuse` if it is refused.

        Raises what `Poster.post` raises; refusals are answers.
        """

        def render(outcome: Outcome) -> Rendered:
            if isinstance(outcome, Refused):
                return Rendered(outcome.error.status, refuse(outcome, self._request_id))
            return Rendered(status, show(outcome).model_dump_json())

        attempt = Attempt(
            principal_id=self._keyed.principal_id,
            key=self._keyed.key,
            fingerprint=self._keyed.fingerprint,
            command=command,
            render=render,
        )
        return await self._poster.post(attempt)

    async def repeat_or_refuse(self, refusal: WalletError) -> Response:
        """Respond as the first time if the request's key is known, else raise `refusal`.

        For what is refused before the ledger is asked, which alone knows every key: whoever asks
        again is answered again, whatever has changed meanwhile. Raises IdempotencyKeyReused.
        """
        return self.respond(await self.first_answer_or_refuse(refusal))

    async def first_answer_or_refuse(self, refusal: WalletError) -> Answer:
        """Return what `repeat_or_refuse` responds with."""
        answer = await self._answers.ask_database(self._keyed)
        if answer is None:
            raise refusal
        return answer

    def respond(self, answer: Answer) -> Response:
        """Return the response for an answer, which Redis may repeat if the route lets it."""
        self._keyed.answer = answer
        return answer_response(answer, FROM_DATABASE if answer.replayed else FRESH)


def required_key(request: Request) -> Pending:
    """Take the request's key. Raises IdempotencyKeyRequired or IdempotencyKeyInvalid."""
    key = _read_key(request)
    if key is None:
        raise IdempotencyKeyRequired
    return _pending(request, key)


def optional_key(request: Request) -> Pending:
    """Take the request's key, if it sent one. Raises IdempotencyKeyInvalid."""
    return _pending(request, _read_key(request))


def key_of_header_or_body(request: Request) -> Pending:
    """Take the request's key from its header, or from the field `idempotency_key` of its body.

    For answers that tell how things stand, which Redis must not give again.
    Raises IdempotencyKeyInvalid, also if both are there and differ.
    """
    in_header = _read_key(request)
    in_body: str | None = getattr(request.scope["json"], "idempotency_key", None)
    if in_header is not None and in_body is not None and in_header != in_body:
        raise IdempotencyKeyInvalid("The idempotency keys in the header and in the body differ.")
    return _pending(request, in_header if in_header is not None else in_body)


def _pending(request: Request, key: str | None) -> Pending:
    """Prepare to act. `scope["canonical_request"]` is what the route understood."""
    caller: Caller | Service = request.scope["caller"]
    fingerprint = hashlib.sha256(request.scope["canonical_request"].encode()).digest()
    # The ledger knows no attempt without a key: an unknown COMMIT is resolved by it.
    keyed = KeyedRequest(caller.principal_id, key or f"auto-{uuid4()}", fingerprint)
    request.scope["keyed_request"] = keyed if key is not None else None
    return Pending(request, keyed)


def _read_key(request: Request) -> str | None:
    found = [value for name, value in request.scope["headers"] if name in _HEADERS]
    if not found:
        return None
    key: bytes = found[0]
    if (
        len(found) > 1
        or not 1 <= len(key) <= _KEY_BYTES_LIMIT
        or not _VISIBLE_ASCII.issuperset(key)
    ):
        raise IdempotencyKeyInvalid
    return key.decode("ascii")


RequiredKeyDep = Annotated[Pending, Depends(required_key)]
OptionalKeyDep = Annotated[Pending, Depends(optional_key)]
UncachedKeyDep = Annotated[Pending, Depends(key_of_header_or_body)]
