"""The local Paystack as tests use it: served in this process, and made to misbehave."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import httpx
import uvicorn
from starlette.responses import JSONResponse, Response

from devtools.paystack.app import LocalPaystack
from devtools.paystack.webhooks import sign
from operations.listening import listen, port_of
from tests.processes import RealProcess

SECRET = "sk_test_local_secret_that_nobody_else_has"
WEBHOOK = "/wallet/paystack/webhook"


@asynccontextmanager
async def serving_paystack(webhook_url: str | None = None) -> AsyncIterator[LocalPaystack]:
    """Serve a local Paystack at its `base_url`; transfers end only by hand."""
    paystack = LocalPaystack(secret=SECRET, webhook_url=webhook_url, arrival_seconds=3600)
    with listen("127.0.0.1", 0) as listener:
        paystack.base_url = f"http://127.0.0.1:{port_of(listener)}"
        server = uvicorn.Server(uvicorn.Config(paystack.app, log_config=None, lifespan="off"))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
                await asyncio.sleep(0.01)
            yield paystack
        finally:
            server.should_exit = True
            await serving


def event(name: str, data: Mapping[str, Any]) -> bytes:
    """Return the body of a webhook."""
    return json.dumps({"event": name, "data": data}).encode()


async def deliver(
    client: httpx.AsyncClient, body: bytes, *, secret: str = SECRET, signature: str | None = None
) -> httpx.Response:
    """Send a webhook's body, signed by `secret` unless a signature is given."""
    return await client.post(
        WEBHOOK,
        content=body,
        headers={
            "content-type": "application/json",
            "x-paystack-signature": sign(body, secret) if signature is None else signature,
        },
    )


class PaystackProcess(RealProcess):
    """The local Paystack in a process of its own, which sends no webhooks that arrive."""

    def __init__(self, *, log_path: Path) -> None:
        super().__init__(log_path=log_path)
        self._port = 0

    @property
    def settings(self) -> dict[str, str]:
        """What makes the wallet use it."""
        base_url = f"http://127.0.0.1:{self._port}"
        return {"PAYSTACK_SECRET_KEY": SECRET, "PAYSTACK_BASE_URL": base_url}

    def start(self) -> Self:
        """Starts it; returns when it answers."""
        with listen("127.0.0.1", self._port) as listener:
            self._port = port_of(listener)
            descriptor = listener.fileno()
            command = [sys.executable, "-m", "devtools.paystack", "--fd", str(descriptor)]
            self._spawn(
                [*command, "--webhook-url", "http://127.0.0.1:9/"],
                self._answers,
                environment={**os.environ, **self.settings},
                descriptors=[descriptor],
            )
        return self

    def _answers(self) -> bool:
        try:
            url = f"{self.settings['PAYSTACK_BASE_URL']}/local/transfers"
            return httpx.get(url, timeout=1).status_code == 200
        except httpx.HTTPError:
            return False


class Trouble:
    """What goes wrong at the local Paystack: calls of these paths are answered so."""

    def __init__(self) -> None:
        self.answers: dict[str, Response | None] = {}
        # Calls of these paths are done, and their answers lost.
        self.calls: list[str] = []

    async def __call__(self, path: str) -> Response | None:
        """Return what is answered instead of what is right."""
        self.calls.append(path)
        for start, answer in self.answers.items():
            if path.startswith(start):
                return answer
        return None

    def down(self, path: str = "/") -> None:
        """Answer calls of paths that begin so with 502."""
        self.answers[path] = JSONResponse({"status": False}, status_code=502)
