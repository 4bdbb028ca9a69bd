"""Answers repeated requests from Redis, in front of the endpoint and behind everything that checks.

This layer wraps each keyed route's endpoint, not the whole application: a request reaches it only
when it has been authenticated, counted, read and validated, so that no cached answer is ever served
to a request that would not itself be accepted.
"""

from typing import Final

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from core.commands import Answer
from middleware.answer_cache import AnswerCache, KeyedRequest
from schemas.prepared import JSON_HEADERS, PreparedResponse
from schemas.problem import PROBLEM_HEADERS

FRESH: Final = b"MISS"
FROM_DATABASE: Final = b"DB"

_FIRST_REFUSAL_STATUS: Final = 400


class IdempotencyMiddleware:
    """Serves the first answer again, or lets the request act and keeps its answer."""

    def __init__(self, app: ASGIApp):
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; `scope["keyed_request"]` is None when it came without a key."""
        keyed: KeyedRequest | None = scope["keyed_request"]
        if keyed is None:
            await self._app(scope, receive, send)
            return
        cache: AnswerCache = scope["services"].answers
        claimed = await cache.claim(keyed)
        if claimed is not None:
            await answer_response(*claimed)(scope, receive, send)
            return
        try:
            await self._app(scope, receive, send)
        finally:
            cache.settle(keyed)


def answer_response(answer: Answer, lookup: bytes) -> Response:
    """Return the response for an answer; `lookup` tells where it was found."""
    headers = PROBLEM_HEADERS if answer.status >= _FIRST_REFUSAL_STATUS else JSON_HEADERS
    told = (*headers, (b"x-cache-lookup", lookup))
    if answer.replayed:
        told = (*told, (b"idempotency-replayed", b"true"))
    return PreparedResponse(answer.body.encode(), told, status=answer.status)
