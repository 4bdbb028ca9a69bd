"""Refuses bodies over the limit: by their announced length at once, otherwise while they arrive."""

from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.errors import ContentTooLarge
from schemas.problem import problem_response

BODY_LIMIT_BYTES: Final = 64 * 1024


class BodyLimitMiddleware:
    """Nothing behind this layer sees more than BODY_LIMIT_BYTES of a body."""

    def __init__(self, app: ASGIApp):
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request whose body is within the limit; answer 413 to others."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = _announced_length(scope)
        if announced is not None and announced > BODY_LIMIT_BYTES:
            response = problem_response(ContentTooLarge(), scope["request_id"])
            await response(scope, receive, send)
            return
        # The server hands over no more than was announced, so only the others need counting.
        await self._app(scope, receive if announced is not None else _counting(receive), send)


def _announced_length(scope: Scope) -> int | None:
    for name, value in scope["headers"]:
        if name == b"content-length":
            # Ten digits are more than any limit; int() takes its time over thousands.
            return int(value[:10]) if value.isdigit() else None
        if name == b"transfer-encoding":
            return None
    return 0


def _counting(receive: Receive) -> Receive:
    received = 0

    async def receive_within_limit() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > BODY_LIMIT_BYTES:
            raise ContentTooLarge
        return message

    return receive_within_limit
