"""The browser in which somebody signs in with Google, and the one cookie it keeps for that."""

from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import Depends
from starlette.requests import Request

from core.google_errors import GoogleSignInDisabled
from core.identity_providers import CHALLENGE_LIFETIME_SECONDS, Challenge, IdentityProvider
from dependencies.services import GoogleSignIn, services_of
from schemas.prepared import Header

COOKIE: Final = "google_sign_in"
# Strict would not send it along on the way back from Google.
_ATTRIBUTES: Final = "Path=/auth/google; HttpOnly; SameSite=Lax"


@dataclass(frozen=True, slots=True)
class Visit:
    """One request of a browser that signs in: who vouches, and what it was sent there with."""

    provider: IdentityProvider
    request_id: str
    _google: GoogleSignIn
    _kept: str

    def new_challenge(self) -> tuple[Challenge, Header]:
        """Return a new challenge, and the header that has the browser keep it."""
        challenge, text = self._google.challenges.make()
        return challenge, self._keeping(text, CHALLENGE_LIFETIME_SECONDS)

    def challenge_of(self, state: str) -> Challenge | None:
        """Return the challenge that this browser was sent with, if it came back with its state."""
        return self._google.challenges.find(self._kept, state)

    @property
    def forgetting(self) -> Header:
        """The header that has the browser forget its challenge, so that it is used once."""
        return self._keeping("", 0)

    def _keeping(self, text: str, seconds: int) -> Header:
        secure = "; Secure" if self._google.secure_cookies else ""
        value = f"{COOKIE}={text}; Max-Age={seconds}; {_ATTRIBUTES}{secure}"
        return b"set-cookie", value.encode("ascii")


def visit(request: Request) -> Visit:
    """Return the visit that a request is. Raises GoogleSignInDisabled."""
    google = services_of(request).google
    if google.provider is None:
        raise GoogleSignInDisabled
    kept = request.cookies.get(COOKIE, "")
    return Visit(google.provider, request.scope["request_id"], google, kept)


VisitDep = Annotated[Visit, Depends(visit)]
