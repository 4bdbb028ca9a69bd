"""How passwords are hashed, and tokens that we hand out are signed and read back.

Definitions only: no request, no table. Passwords go through libpass (`bcrypt_sha256`, which has no
72-byte limit); tokens are JWTs signed with one pinned algorithm, each kind for an audience of its
own, so that none can stand in for another.
"""

import asyncio
import hashlib
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from jose import JWTError, jwt
from passlib.context import CryptContext
from passlib.hash import bcrypt_sha256

from core.errors import Unauthenticated, Unavailable

AUDIENCE: Final = "wallet-api"
ISSUER: Final = "wallet"
VERIFIED_TOKENS_LIMIT: Final = 10_000
TOKEN_CHARACTERS_LIMIT: Final = 2048
ID_DIGITS_LIMIT: Final = 18

# Hashing takes a core for a fifth of a second: two at a time leave the rest of the service alive,
# and a queue longer than this would not be answered before people give up.
HASHES_AT_ONCE: Final = 2
HASHES_WAITING_LIMIT: Final = 100

# One line each, lower case, only such as are long enough to be accepted otherwise.
_COMMON_PASSWORDS: Final = frozenset(
    Path(__file__).with_name("common_passwords.txt").read_text(encoding="utf-8").split()
)


def is_common_password(password: str) -> bool:
    """Whether `password` is among the first that an attacker tries, without regard to case."""
    return password.casefold() in _COMMON_PASSWORDS


class PasswordHasher:
    """Hashes and verifies passwords off the event loop, a few at a time."""

    def __init__(self, rounds: int):
        self._context = CryptContext(
            schemes=["bcrypt_sha256", "bcrypt"],
            deprecated=["bcrypt"],
            bcrypt_sha256__rounds=rounds,
            bcrypt__rounds=rounds,
        )
        self._nobodys_hash = _nobodys_hash(rounds)
        self._slots = asyncio.Semaphore(HASHES_AT_ONCE)
        self._waiting = 0

    async def hash(self, password: str) -> str:
        """Return the hash to store. Raises Unavailable when too many wait already."""
        return str(await self._run(self._context.hash, password))

    async def verify(self, password: str, stored_hash: str | None) -> tuple[bool, str | None]:
        """Return whether `password` fits, and a better hash to store if there is one.

        For a person who does not exist, `stored_hash` None, the answer is no after the same work.
        """
        fits, better = await self._run(
            self._context.verify_and_update, password, stored_hash or self._nobodys_hash
        )
        return (bool(fits), better) if stored_hash else (False, None)

    async def _run(self, work: Any, *arguments: str) -> Any:
        if self._waiting >= HASHES_WAITING_LIMIT:
            raise Unavailable
        self._waiting += 1
        try:
            async with self._slots:
                return await asyncio.to_thread(work, *arguments)
        finally:
            self._waiting -= 1


def _nobodys_hash(rounds: int) -> str:
    """Return what is verified instead of a hash that does not exist, so that both take as long.

    No password has it: it was never made from one, which would keep each start waiting as long as
    a sign-in.
    """
    handler: Any = bcrypt_sha256
    salt, checksum = "." * handler.max_salt_size, "." * handler.checksum_size
    return str(handler(rounds=rounds, salt=salt, checksum=checksum, use_defaults=True).to_string())


class InvalidToken(Exception):
    """Not a token that we signed for this audience, or not any more."""


class Signer:
    """Signs claims for one audience, and reads them back from whoever was given them."""

    def __init__(self, *, secret: str, algorithm: str, audience: str):
        self._secret = secret
        self._algorithm = algorithm
        self._audience = audience

    def sign(self, claims: Mapping[str, str], *, lifetime_seconds: int) -> str:
        """Return a token that says `claims` for so long; anybody can read it."""
        now = int(time.time())
        registered = {
            "iss": ISSUER,
            "aud": self._audience,
            "jti": secrets.token_hex(16),
            "iat": now,
            "exp": now + lifetime_seconds,
        }
        return str(jwt.encode({**claims, **registered}, self._secret, algorithm=self._algorithm))

    def read(self, token: str) -> Mapping[str, Any]:
        """Return the claims of a token of ours. Raises InvalidToken for whatever else it is."""
        if len(token) > TOKEN_CHARACTERS_LIMIT:
            raise InvalidToken
        required = ("exp", "iat", "iss", "aud", "jti")
        try:
            # jose follows headers it does not know, `crit` among them: ours are these two.
            if jwt.get_unverified_header(token) != {"alg": self._algorithm, "typ": "JWT"}:
                raise InvalidToken
            claims: dict[str, Any] = jwt.decode(
                token,
                self._secret,
                algorithms=[self._algorithm],
                audience=self._audience,
                issuer=ISSUER,
                options={f"require_{name}": True for name in required},
            )
        except (JWTError, ValueError, TypeError):
            raise InvalidToken from None
        return claims


@dataclass(frozen=True, slots=True)
class Claims:
    """What a verified access token says; `expires_at` is in seconds since the epoch."""

    user_id: int
    sign_in_id: int
    expires_at: int


class AccessTokens:
    """Makes and verifies access tokens of one secret.

    A token that was verified once is not verified again until it expires. Whether its sign-in has
    been ended since is asked elsewhere, for every request (`core.sign_ins.SignInCheck`).
    """

    def __init__(self, *, secret: str, algorithm: str, lifetime_seconds: int):
        self._signer = Signer(secret=secret, algorithm=algorithm, audience=AUDIENCE)
        self.lifetime_seconds = lifetime_seconds
        self._decode_once = lru_cache(maxsize=VERIFIED_TOKENS_LIMIT)(self._decode)

    def issue(self, *, user_id: int, sign_in_id: int) -> str:
        """Return a signed token for one sign-in of a person."""
        claims = {"sub": str(user_id), "sid": str(sign_in_id)}
        return self._signer.sign(claims, lifetime_seconds=self.lifetime_seconds)

    def verify(self, token: str) -> Claims:
        """Return what the token says. Raises Unauthenticated for whatever is not ours or over."""
        claims = self._decode_once(token)
        if claims.expires_at <= time.time():
            raise Unauthenticated
        return claims

    def _decode(self, token: str) -> Claims:
        try:
            claims = self._signer.read(token)
            return Claims(read_id(claims["sub"]), read_id(claims["sid"]), int(claims["exp"]))
        except (InvalidToken, KeyError, ValueError, TypeError):
            raise Unauthenticated from None


def read_id(text: object) -> int:
    """Read an id as we write it: one that no row can have would fail the query for everyone.

    Raises ValueError.
    """
    if not isinstance(text, str) or not text.isdecimal() or len(text) > ID_DIGITS_LIMIT:
        raise ValueError("not an id of ours")
    return int(text)


def make_refresh_token() -> str:
    """Return a new refresh token: 256 random bits, URL-safe."""
    return secrets.token_urlsafe(32)


def token_sha256(token: str) -> bytes:
    """Return what is stored of a refresh token; it is random, so a plain hash suffices."""
    return hashlib.sha256(token.encode()).digest()
