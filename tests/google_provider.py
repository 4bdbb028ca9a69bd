"""Google as a local HTTP server: a provider of OpenID Connect that signs, changes keys, and lies.

It holds callers to what Google does: the code works once, for who knows the client's secret, the
address it was asked for, and the verifier of its PKCE challenge.
"""

import asyncio
import hashlib
import json
import time
from base64 import urlsafe_b64encode
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from uuid import uuid4

from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

CLIENT_ID = "wallet-client"
CLIENT_SECRET = "wallet-client-secret"
REDIRECT_URI = "http://wallet.test/auth/google/callback"

Claims = dict[str, Any]
Sign = Callable[[Claims], str]
# Loopback only, and closed.
NOWHERE = "http://127.0.0.1:1"


def new_key() -> RSAKey:
    """Return a key with a name of its own."""
    return RSAKey.generate_key(2048, parameters={"kid": uuid4().hex})


@dataclass
class FakeGoogle:
    """Vouches for whom it is told to; the codes that it gave wait for being exchanged."""

    url: str = ""
    key: RSAKey = field(default_factory=new_key)
    # As Google does, it publishes the next one early.
    next_key: RSAKey = field(default_factory=new_key)
    # Of the next answers of a path: a status, 0 for never answering, or a whole body.
    faults: dict[str, int | bytes] = field(default_factory=dict)
    requests: Counter[str] = field(default_factory=Counter)
    codes: dict[str, tuple[Mapping[str, str], Claims, Sign]] = field(default_factory=dict)

    def sign(self, claims: Claims) -> str:
        """Sign as Google does."""
        return jwt.encode({"alg": "RS256", "kid": self.key.kid}, claims, self.key)

    def consent(self, address: str, claims: Claims, sign: Sign | None = None) -> dict[str, str]:
        """Have a person, of whom `claims` are told, say yes at the address they were sent to.

        Returns the query that they are sent back with.
        """
        asked = dict(parse_qsl(urlsplit(address).query, strict_parsing=True))
        assert address.startswith(f"{self.url}/authorize?")
        assert asked["client_id"] == CLIENT_ID
        assert asked["redirect_uri"] == REDIRECT_URI
        assert asked["response_type"] == "code"
        assert asked["code_challenge_method"] == "S256"
        assert {"openid", "email", "profile"} == set(asked["scope"].split())
        code = uuid4().hex
        self.codes[code] = (asked, self._all_claims(asked, claims), sign or self.sign)
        # As Google does, with more than the protocol needs.
        more = {"scope": "openid email", "authuser": "0", "prompt": "none", "iss": self.url}
        return {"code": code, "state": asked["state"], **more}

    def _all_claims(self, asked: Mapping[str, str], claims: Claims) -> Claims:
        now = int(time.time())
        usual: Claims = {
            "iss": self.url,
            "aud": CLIENT_ID,
            "azp": CLIENT_ID,
            "iat": now,
            "exp": now + 3600,
            "nonce": asked["nonce"],
        }
        return {name: value for name, value in (usual | claims).items() if value is not None}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                path, fields = _read_head(head)
                body = await reader.readexactly(int(fields.get("content-length", "0")))
                self.requests[path] += 1
                status, answer = await self._answer(path, body)
                writer.write(
                    f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n"
                    f"Content-Length: {len(answer)}\r\n\r\n".encode()
                    + answer
                )
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, path: str, body: bytes) -> tuple[int, bytes]:
        fault = self.faults.get(path)
        if fault == 0:
            await asyncio.sleep(60)
        if isinstance(fault, bytes):
            return 200, fault
        if fault is not None:
            return fault, b'{"error":"server_error"}'
        match path:
            case "/.well-known/openid-configuration":
                return 200, json.dumps(self._discovery()).encode()
            case "/jwks":
                return 200, json.dumps(KeySet([self.key, self.next_key]).as_dict()).encode()
            case "/token":
                return self._exchange(dict(parse_qsl(body.decode())))
        return 404, b"{}"

    def _discovery(self) -> Mapping[str, str]:
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/jwks",
        }

    def _exchange(self, form: Mapping[str, str]) -> tuple[int, bytes]:
        if (form.get("client_id"), form.get("client_secret")) != (CLIENT_ID, CLIENT_SECRET):
            return 401, b'{"error":"invalid_client"}'
        found = self.codes.pop(form.get("code", ""), None)
        if found is None or form.get("grant_type") != "authorization_code":
            return 400, b'{"error":"invalid_grant"}'
        asked, claims, sign = found
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        verified = urlsafe_b64encode(digest).rstrip(b"=").decode() == asked["code_challenge"]
        if not verified or form.get("redirect_uri") != asked["redirect_uri"]:
            return 400, b'{"error":"invalid_grant"}'
        answer = {"access_token": "for Google", "token_type": "Bearer", "id_token": sign(claims)}
        return 200, json.dumps(answer).encode()


def _read_head(head: bytes) -> tuple[str, dict[str, str]]:
    first, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines if line)
    return first.split(" ")[1], {name.lower(): value.strip() for name, _, value in pairs}


@asynccontextmanager
async def fake_google() -> AsyncIterator[FakeGoogle]:
    """Run a fake Google for the length of a block."""
    google = FakeGoogle()
    server = await asyncio.start_server(google.serve, "127.0.0.1", 0)
    google.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield google
    finally:
        server.close()


def google_settings(issuer: str) -> dict[str, str]:
    """Return the settings of a service that signs in with this provider."""
    return {
        "google_client_id": CLIENT_ID,
        "google_client_secret": CLIENT_SECRET,
        "google_redirect_uri": REDIRECT_URI,
        "google_issuer": issuer,
    }
