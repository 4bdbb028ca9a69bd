"""What a provider of OpenID Connect publishes: where its doors are, and the keys it signs with.

Both are kept for an hour, and for longer while they cannot be read again; nobody waits for that
who could do without. A key that is not among those that are kept makes them be read again, so that
a provider may change its keys at any time; but not for each of many such tokens.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import structlog
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from core.google_errors import GoogleUnavailable
from integrations.bounded_http import NoAnswer, ask

log = structlog.get_logger(__name__)

# For one answer as a whole, however slowly it comes.
WAIT_SECONDS: Final = 5.0
# For all that is asked before, or on behalf of, somebody.
TURN_SECONDS: Final = 8.0
ANSWER_BYTES_LIMIT: Final = 256 * 1024
KEPT_SECONDS: Final = 3600.0
# For so long what was read last is good while the provider is away.
OVER_SECONDS: Final = 6 * KEPT_SECONDS
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
            told = await ask(
                self._client, request, seconds=WAIT_SECONDS, bytes_limit=ANSWER_BYTES_LIMIT
            )
        except NoAnswer as error:
            raise _unavailable(url, str(error)) from None
        if told.status >= 500 or not isinstance(told.body, dict):
            raise _unavailable(url, f"status {told.status}")
        return Answer(told.status, told.body)


class ProviderMetadata:
    """The doors and keys of one issuer, by its discovery document (OpenID Connect Discovery)."""

    def __init__(self, http: ProviderHttp, issuer: str):
        self._http = http
        self._issuer = issuer
        self._doors: Doors | None = None
        self._keys: dict[str, RSAKey] = {}
        self._doors_read_at = self._keys_read_at = self._looked_again_at = float("-inf")
        self._away_at = float("-inf")
        self._reading = asyncio.Lock()

    async def doors(self) -> Doors:
        """Return where the provider's doors are. Raises GoogleUnavailable."""
        if self._doors is not None and self._may_be_used(self._doors_read_at):
            return self._doors
        async with self._turn():
            return await self._current_doors()

    async def key(self, key_id: str | None) -> RSAKey | None:
        """Return the key that the provider signs with under this id, None if it has none.

        Only a provider with a single key need not say which it is (OpenID Connect Core 1.0, 10.1).
        Raises GoogleUnavailable.
        """
        key = self._find(key_id)
        if key is not None and self._may_be_used(self._keys_read_at):
            return key
        async with self._turn():
            now = time.monotonic()
            known = key_id is None or key_id in self._keys
            if not self._is_fresh(self._keys_read_at):
                with self._keeping(self._keys_read_at):
                    await self._read_keys()
            elif not known and now - self._looked_again_at >= LOOK_AGAIN_SECONDS:
                self._looked_again_at = now
                await self._read_keys()
            return self._find(key_id)

    def _find(self, key_id: str | None) -> RSAKey | None:
        if key_id is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return self._keys.get(key_id or "")

    def _may_be_used(self, read_at: float) -> bool:
        """Whether what was read then is good without asking: it is fresh, or somebody is asking."""
        if self._reading.locked():
            return time.monotonic() - read_at < OVER_SECONDS
        return self._is_fresh(read_at)

    def _is_fresh(self, read_at: float) -> bool:
        """Whether to ask again is too early, or in vain: the provider was away a moment ago."""
        now = time.monotonic()
        if now - self._away_at < LOOK_AGAIN_SECONDS:
            return now - read_at < OVER_SECONDS
        return now - read_at < KEPT_SECONDS

    @contextmanager
    def _keeping(self, read_at: float) -> Iterator[None]:
        """Make do with what was read then if it cannot be read again, unless that is too old."""
        try:
            yield
        except GoogleUnavailable:
            self._away_at = time.monotonic()
            if self._away_at - read_at >= OVER_SECONDS:
                raise

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Have one ask at a time: many may wait for the same answer, and nobody does for long."""
        try:
            async with asyncio.timeout(TURN_SECONDS), self._reading:
                yield
        except TimeoutError:
            raise _unavailable(self._issuer, "too many wait") from None

    async def _current_doors(self) -> Doors:
        if not self._is_fresh(self._doors_read_at):
            with self._keeping(self._doors_read_at):
                self._doors = await self._read_doors()
                self._doors_read_at = time.monotonic()
        if self._doors is None:
            raise AssertionError("What was never read is too old to be kept.")
        return self._doors

    async def _read_doors(self) -> Doors:
        url = f"{self._issuer.rstrip('/')}/.well-known/openid-configuration"
        document = await self._http.get(url)
        # Whoever speaks for another issuer could send people and their codes anywhere.
        if document.get("issuer") != self._issuer:
            raise _unavailable(url, "another issuer")
        return Doors(
            authorization_endpoint=self._door(document, "authorization_endpoint"),
            token_endpoint=self._door(document, "token_endpoint"),
            jwks_uri=self._door(document, "jwks_uri"),
        )

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
        doors = await self._current_doors()
        listed = (await self._http.get(doors.jwks_uri)).get("keys")
        keys = map(_signing_key, listed if isinstance(listed, list) else [])
        self._keys = {key.kid: key for key in keys if key is not None and key.kid}
        self._keys_read_at = time.monotonic()


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
