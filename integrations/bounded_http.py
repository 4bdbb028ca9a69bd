"""Asks another service for JSON over HTTP: for a bounded time, and for a bounded answer.

Whoever is asked may answer a byte at a time, or without end: a client's own time-out is for each
read. Redirects are not followed.
"""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

import httpx


@dataclass(frozen=True, slots=True)
class JsonAnswer:
    """A status and the JSON value that came with it."""

    status: int
    body: Any


class NoAnswer(Exception):
    """Nothing that can be read came, or not in time; says no more than what kind of failure."""


async def ask(
    client: httpx.AsyncClient, request: httpx.Request, *, seconds: float, bytes_limit: int
) -> JsonAnswer:
    """Send a request and return the whole answer. Raises NoAnswer."""
    try:
        async with asyncio.timeout(seconds):
            response = await client.send(request, stream=True)
            try:
                text = await _read(response, bytes_limit)
            finally:
                await response.aclose()
        return JsonAnswer(response.status_code, json.loads(text))
    except (httpx.HTTPError, TimeoutError, ValueError, RecursionError) as error:
        raise NoAnswer(type(error).__name__) from None


async def _read(response: httpx.Response, bytes_limit: int) -> bytes:
    text = b""
    async for chunk in response.aiter_bytes():
        text += chunk
        if len(text) > bytes_limit:
            raise ValueError("The answer is too long.")
    return text
