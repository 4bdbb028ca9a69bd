"""Answers repeated requests from Redis, in front of the endpoint and behind everything that checks.

This layer wraps each keyed route's endpoint, not the whole application: a request reaches it only
when it has been authenticated, counted, read and validated, so that no cached answer is ever served
to a request that would not itself be accepted.
"""

from typing import Final

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.commands import Answer
from middleware.answer_cache import AnswerCache, KeyedRequest
from schemas.problem import NO_STORE, PROBLEM_MEDIA_TYPE

FRESH: Final = "MISS"
FROM_DATABASE: Final = "DB"

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
        cache: AnswerCache = scope["app"].state.services.answers
        claimed = await cache.claim(keyed)
        if claimed is not None:
            await answer_response(*claimed)(scope, receive, send)
            return
        settled = False

        async def send_after_settling(message: Message) -> None:
            nonlocal settled
            if not settled:
                settled = True
                await cache.settle(keyed)
            await send(message)

        try:
            await self._app(scope, receive, send_after_settling)
        finally:
            if not settled:
                await cache.settle(keyed)


def answer_response(answer: Answer, lookup: str) -> Response:
    """Return the response for an answer; `lookup` tells where it was found."""
    headers = NO_STORE | {"X-Cache-Lookup": lookup}
    if answer.replayed:
        headers["Idempotency-Replayed"] = "true"
    refused = answer.status >= _FIRST_REFUSAL_STATUS
    return Response(
        answer.body,
        status_code=answer.status,
        media_type=PROBLEM_MEDIA_TYPE if refused else "application/json",
        headers=headers,
    )
