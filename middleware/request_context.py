"""Gives every request an id, tells it in the answer and the log, and writes one log line each.

Whoever counts requests is told of each here as well, since this layer sees how all of them end.
"""

import re
import time
from collections.abc import Callable
from random import randbytes
from typing import Final

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core import log_context
from core.errors import InternalError
from schemas.problem import problem_response

PROBES: Final = frozenset({"/livez", "/readyz", "/metrics"})
HEADER: Final = b"x-request-id"
_ID_BYTES: Final = 16
# What is safe in a log line and a header; anything else gets an id of ours.
_ACCEPTED: Final = re.compile(rb"[A-Za-z0-9._-]{1,128}")


# Takes the scope, as the router left it, the status, 0 if there was no answer, and the seconds.
RequestObserver = Callable[[Scope, int, float], None]


class RequestContextMiddleware:
    """Outermost layer: sets `scope["request_id"]`."""

    def __init__(self, app: ASGIApp, observe: RequestObserver):
        self._app = app
        self._observe = observe
        # Bound, as this layer is made after logging was set up: unbound, it is made anew each time.
        self._log = structlog.get_logger("wallet.requests").bind()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request within its context."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _incoming_id(scope) or _new_id()
        scope["request_id"] = request_id
        log_context.start(request_id=request_id)
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
        except Exception:
            # Within the layers it became an answer already, and is raised for the server's log.
            if status:
                raise
            self._log.exception("unexpected_error")
            await problem_response(InternalError(), request_id)(scope, receive, send_with_id)
        finally:
            seconds = time.perf_counter() - started
            self._observe(scope, status, seconds)
            # Probes ask every few seconds and say nothing new.
            write = self._log.debug if scope["path"] in PROBES else self._log.info
            write(
                "request",
                method=scope["method"],
                path=scope["path"],
                status=status,
                milliseconds=round(seconds * 1000, 1),
            )


def _incoming_id(scope: Scope) -> str | None:
    found = [value for name, value in scope["headers"] if name == HEADER]
    if len(found) == 1 and _ACCEPTED.fullmatch(found[0]):
        return str(found[0].decode())
    return None


def _new_id() -> str:
    """Return an id that nobody else has; it is no secret, and one would take a system call."""
    return randbytes(_ID_BYTES).hex()  # noqa: S311 - see above
