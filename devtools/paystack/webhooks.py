"""Sends what the local Paystack has to tell, signed as the real one signs it."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any, Final

import httpx

TRIES: Final = 5
TIMEOUT_SECONDS: Final = 10


def sign(body: bytes, secret: str) -> str:
    """Return the signature of a body: HMAC-SHA512 in hexadecimal."""
    return hmac.new(secret.encode(), body, hashlib.sha512).hexdigest()


class Webhooks:
    """Delivers events to `url`, each `copies` times and `delay_seconds` late; tries again on 5xx.

    Without a url nothing is sent.
    """

    def __init__(self, url: str | None, secret: str):
        self.url = url
        self._secret = secret
        self._tasks: set[asyncio.Task[None]] = set()

    def send(
        self, event: str, data: Mapping[str, Any], *, copies: int = 1, delay_seconds: float = 0
    ) -> None:
        """Send an event in the background."""
        if self.url is None:
            return
        body = json.dumps({"event": event, "data": data}).encode()
        for _ in range(copies):
            task = asyncio.create_task(self._deliver(self.url, body, delay_seconds))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _deliver(self, url: str, body: bytes, delay_seconds: float) -> None:
        await asyncio.sleep(delay_seconds)
        headers = {
            "content-type": "application/json",
            "x-paystack-signature": sign(body, self._secret),
        }
        async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS) as http:
            for attempt in range(TRIES):
                try:
                    answer = await http.post(url, content=body, headers=headers)
                except httpx.HTTPError:
                    answer = None
                if answer is not None and answer.status_code == 200:
                    return
                await asyncio.sleep(2**attempt)
