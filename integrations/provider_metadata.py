"""What a provider of OpenID Connect publishes: where its doors are, and the keys it signs with.

Both are kept for an hour. A key that is not among those that are kept makes them be read again, so
that a provider may change its keys at any time; but not for each of many such tokens.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import structlog
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from core.google_errors import GoogleUnavailable

log = structlog.get_logger(__name__)

# For one answer as a whole, however slowly it comes.
WAIT_SECONDS: Final = 5.0
# For all that is asked before, or on behalf of, somebody.
TURN_SECONDS: Final = 8.0
ANSWER_BYTES_LIMIT: Final = 256 * 1024
KEPT_SECONDS: Final = 3600.0
# Between two looks for a key that was not there at the first.
LOOK_AGAIN_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What a provider answered: the status, below 500, and a JSON object."""

    status: int
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Doors:
    """The addresses of a provider."""

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str


class ProviderHttp:
    """Asks a provider over HTTP, for a bounded time and a bounded answer; follows no redirect."""

    def __init__(self) -> None:
        self._client = httpx.AsyncClient(
            timeout=WAIT_SECONDS, headers={"Accept": "application/json"}
        )

    async def get(self, url: str) -> Mapping[str, Any]:
        """Return the JSON object at `url`. Raises GoogleUnavailable."""
        answer = await self._ask(self._client.build_request("GET", url))
        if answer.status != 200:
            raise _unavailable(url, f"status {answer.status}")
        return answer.body

    async def post(self, url: str, form: Mapping[str, str]) -> Answer:
        """Send a form. Raises GoogleUnavailable for no answer, and for statuses from 500 on."""
        return await self._ask(self._client.build_request("POST", url, data=dict(form)))

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _ask(self, request: httpx.Request) -> Answer:
        url = str(request.url)
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                response = await self._client.send(request, stream=True)
                try:
                    text = await _read(response)
                finally:
                    await response.aclose()
            body = json.loads(text)
        except (httpx.HTTPError, TimeoutError, ValueError, RecursionError) as error:
            raise _unavailable(url, type(error).__name__) from None
        if response.status_code >= 500 or not isinstance(body, dict):
            raise _unavailable(url, f"status {response.status_code}")
        return Answer(response.status_code, body)


class ProviderMetadata:
    """The doors and keys of one issuer, by its discovery document (OpenID Connect Discovery)."""

    def __init__(self, http: ProviderHttp, issuer: str):
        self._http = http
        self._issuer = issuer
        self._doors: Doors | None = None
        self._keys: dict[str, RSAKey] = {}
        self._doors_read_at = self._keys_read_at = self._looked_again_at = float("-inf")
        self._reading = asyncio.Lock()

    async def doors(self) -> Doors:
        """Return where the provider's doors are. Raises GoogleUnavailable."""
        async with self._turn():
            return await self._read_doors()

    async def key(self, key_id: str | None) -> RSAKey | None:
        """Return the key that the provider signs with under this id, None if it has none.

        Only a provider with a single key need not say which it is (OpenID Connect Core 1.0, 10.1).
        Raises GoogleUnavailable.
        """
        async with self._turn():
            now = time.monotonic()
            known = key_id is None or key_id in self._keys
            if now - self._keys_read_at >= KEPT_SECONDS:
                await self._read_keys()
            elif not known and now - self._looked_again_at >= LOOK_AGAIN_SECONDS:
                self._looked_again_at = now
                await self._read_keys()
            if key_id is None and len(self._keys) == 1:
                return next(iter(self._keys.values()))
            return self._keys.get(key_id or "")

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Have one ask at a time: many may wait for the same answer, and nobody does for long."""
        try:
            async with asyncio.timeout(TURN_SECONDS), self._reading:
                yield
        except TimeoutError:
            raise _unavailable(self._issuer, "too many wait") from None

    async def _read_doors(self) -> Doors:
        if self._doors is None or time.monotonic() - self._doors_read_at >= KEPT_SECONDS:
            url = f"{self._issuer.rstrip('/')}/.well-known/openid-configuration"
            document = await self._http.get(url)
            # Whoever speaks for another issuer could send people and their codes anywhere.
            if document.get("issuer") != self._issuer:
                raise _unavailable(url, "another issuer")
            self._doors = Doors(
                authorization_endpoint=self._door(document, "authorization_endpoint"),
                token_endpoint=self._door(document, "token_endpoint"),
                jwks_uri=self._door(document, "jwks_uri"),
            )
            self._doors_read_at = time.monotonic()
        return self._doors

    def _door(self, document: Mapping[str, Any], name: str) -> str:
        """Return an address, which is no less safe than the issuer's own."""
        try:
            url = httpx.URL(str(document.get(name)))
        except httpx.InvalidURL:
            raise _unavailable(self._issuer, f"no {name}") from None
        if url.scheme not in {"https", urlsplit(self._issuer).scheme} or not url.host:
            raise _unavailable(self._issuer, f"no {name}")
        return str(url)

    async def _read_keys(self) -> None:
        doors = await self._read_doors()
        listed = (await self._http.get(doors.jwks_uri)).get("keys")
        keys = map(_signing_key, listed if isinstance(listed, list) else [])
        self._keys = {key.kid: key for key in keys if key is not None and key.kid}
        self._keys_read_at = time.monotonic()


async def _read(response: httpx.Response) -> bytes:
    text = b""
    async for chunk in response.aiter_bytes():
        text += chunk
        if len(text) > ANSWER_BYTES_LIMIT:
            raise ValueError("The answer is too long.")
    return text


def _signing_key(listed: object) -> RSAKey | None:
    """Return a key of the list, None for those that are for something else."""
    if not isinstance(listed, dict) or listed.get("kty") != "RSA":
        return None
    if listed.get("use", "sig") != "sig" or listed.get("alg", "RS256") != "RS256":
        return None
    try:
        return RSAKey.import_key(listed)
    except (JoseError, ValueError, TypeError):
        return None


def _unavailable(url: str, reason: str) -> GoogleUnavailable:
    log.warning("google_unavailable", host=urlsplit(url).netloc, reason=reason)
    return GoogleUnavailable()
