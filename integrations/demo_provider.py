"""A provider for development without one: vouches for one demo person, and for nobody else.

Never made in production, nor where a real provider is set up. Its issuer is no
address, and no sign-up accepts an address of the domain `invalid` (RFC 2606): the demo person can
neither be anybody else nor be become.
"""

from typing import Final
from urllib.parse import urlencode

from core.google_errors import GoogleSignInFailed
from core.identity_providers import Challenge, Profile

CODES: Final = ("test", "test_code")
DEMO_PERSON: Final = Profile(
    issuer="urn:wallet:demo",
    sub="demo",
    verified_email="demo.person@google.invalid",
    first_name="Demo",
    last_name="Person",
)


class DemoProvider:
    """An IdentityProvider that asks nobody."""

    async def address(self, challenge: Challenge) -> str:
        """Send the browser straight back, as if it had been there."""
        query = urlencode({"code": CODES[0], "state": challenge.state})
        return f"/auth/google/callback?{query}"

    async def identify(self, code: str, challenge: Challenge | None) -> Profile:  # noqa: ARG002 - whoever asks, it is the same person
        """Return the demo person. Raises GoogleSignInFailed for any other code."""
        if code not in CODES:
            raise GoogleSignInFailed
        return DEMO_PERSON

    async def close(self) -> None:
        """Nothing is open."""
