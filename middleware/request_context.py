"""Gives every request an id, tells it in the answer and the log, and writes one log line each."""

import re
import time
from typing import Final
from uuid import uuid4

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = structlog.get_logger("wallet.requests")

PROBES: Final = frozenset({"/livez", "/readyz"})
HEADER: Final = b"x-request-id"
# What is safe in a log line and a header; anything else gets an id of ours.
_ACCEPTED: Final = re.compile(rb"[A-Za-z0-9._-]{1,128}")


class RequestContextMiddleware:
    """Outermost layer: sets `scope["request_id"]`."""

    def __init__(self, app: ASGIApp):
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request within its context."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _incoming_id(scope) or uuid4().hex
        scope["request_id"] = request_id
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        header = (HEADER, request_id.encode())
        started = time.perf_counter()
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), header]
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        finally:
            # Probes ask every few seconds and say nothing new.
            write = log.debug if scope["path"] in PROBES else log.info
            write(
                "request",
                method=scope["method"],
                path=scope["path"],
                status=status,
                milliseconds=round((time.perf_counter() - started) * 1000, 1),
            )


def _incoming_id(scope: Scope) -> str | None:
    found = [value for name, value in scope["headers"] if name == HEADER]
    if len(found) == 1 and _ACCEPTED.fullmatch(found[0]):
        return str(found[0].decode())
    return None
