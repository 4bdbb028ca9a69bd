"""What the house knows of those who vouch for people; how they are asked is `integrations`' matter.

A challenge is what one browser is sent to a provider with: whoever comes back with its `state` was
sent by us, an answer with its `nonce` was made for us now, and only who has the `verifier` can turn
the code into an answer (RFC 7636).
"""

import hashlib
import hmac
import secrets
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from typing import Final, Protocol

from core.security import InvalidToken, Signer

CHALLENGE_LIFETIME_SECONDS: Final = 600
CHALLENGE_AUDIENCE: Final = "wallet-google-challenge"


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Whom a provider vouches for: `issuer` and `sub` name one person for ever, all else changes.

    `verified_email` is normalized, and None unless the provider says that it was verified.
    """

    issuer: str
    sub: str
    verified_email: str | None
    first_name: str
    last_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """The secrets of one sign-in."""

    state: str
    nonce: str
    verifier: str

    @property
    def code_challenge(self) -> str:
        """What the provider is told of the verifier: its SHA-256, by the method S256."""
        digest = hashlib.sha256(self.verifier.encode("ascii")).digest()
        return urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")


class IdentityProvider(Protocol):
    """Somebody who vouches for people."""

    async def address(self, challenge: Challenge) -> str:
        """Return where to send the browser. Raises GoogleUnavailable."""

    async def identify(self, code: str, challenge: Challenge | None) -> Profile:
        """Return whom the provider vouches for, for the code that the browser came back with.

        `challenge` is the one this browser was sent with, None if it was not. Raises
        GoogleStateInvalid, GoogleSignInFailed or GoogleUnavailable.
        """

    async def close(self) -> None:
        """Close the connections."""


class Challenges:
    """Makes challenges, and keeps them where they belong: in the browser that was sent."""

    def __init__(self, *, secret: str, algorithm: str):
        self._signer = Signer(secret=secret, algorithm=algorithm, audience=CHALLENGE_AUDIENCE)

    def make(self) -> tuple[Challenge, str]:
        """Return a new challenge, and the text by which its browser keeps it."""
        challenge = Challenge(
            state=secrets.token_urlsafe(32),
            nonce=secrets.token_urlsafe(32),
            verifier=secrets.token_urlsafe(48),
        )
        claims = {
            "state": challenge.state,
            "nonce": challenge.nonce,
            "verifier": challenge.verifier,
        }
        return challenge, self._signer.sign(claims, lifetime_seconds=CHALLENGE_LIFETIME_SECONDS)

    def find(self, kept: str, state: str) -> Challenge | None:
        """Return the challenge that the browser kept, if that is the one of `state`."""
        try:
            claims = self._signer.read(kept)
        except InvalidToken:
            return None
        if not hmac.compare_digest(str(claims["state"]).encode(), state.encode()):
            return None
        return Challenge(state=claims["state"], nonce=claims["nonce"], verifier=claims["verifier"])
