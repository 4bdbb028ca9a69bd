"""The layer that sees every request's end tells how it ended, whichever way that was."""

import pytest
from starlette.types import Message, Receive, Scope, Send

from middleware.request_context import RequestContextMiddleware


async def ask(app: object) -> list[tuple[int, bool]]:
    """Send one request through the layer around `app`; return what the observer was told."""
    told: list[tuple[int, bool]] = []

    def observe(scope: Scope, status: int, seconds: float) -> None:
        told.append((status, 0 <= seconds < 1))

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(_message: Message) -> None:
        pass

    layer = RequestContextMiddleware(app, observe)  # type: ignore[arg-type]  # one is just below
    scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
    try:
        await layer(scope, receive, send)
    except ZeroDivisionError:
        assert told
    return told


async def answering(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 418, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def failing(_scope: Scope, _receive: Receive, _send: Send) -> None:
    raise ZeroDivisionError


async def leaving(_scope: Scope, _receive: Receive, _send: Send) -> None:
    return


@pytest.mark.promise("metrics")
@pytest.mark.parametrize(("app", "status"), [(answering, 418), (failing, 500), (leaving, 0)])
async def test_the_end_of_every_request_is_told(app: object, status: int) -> None:
    assert await ask(app) == [(status, True)]
