"""The layer that sees every request's end tells how it ended, whichever way that was."""

from collections.abc import Mapping
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from core import log_context
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


@pytest.mark.promise("request-id")
async def test_a_request_is_told_nothing_of_the_one_before_on_its_connection() -> None:
    """A client may send its next request before it is answered: both are served in one context."""
    known: list[Mapping[str, Any]] = []

    async def naming(scope: Scope, receive: Receive, send: Send) -> None:
        known.append(dict(log_context.current()))
        log_context.add(user_id=len(known))
        known.append(log_context.current())
        await answering(scope, receive, send)

    await ask(naming)
    await ask(naming)

    assert [set(facts) for facts in known] == [{"request_id"}, {"request_id", "user_id"}] * 2
    assert known[1]["request_id"] != known[3]["request_id"]
    assert (known[1]["user_id"], known[3]["user_id"]) == (1, 3)


def test_outside_of_requests_there_is_nothing_to_tell() -> None:
    log_context.add(user_id=1)

    assert log_context.current() == {}
