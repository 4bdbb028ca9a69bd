"""Google as a provider of OpenID Connect: the only place that knows how to ask it who somebody is.

The code flow of OpenID Connect Core 1.0 with PKCE. joserfc checks signatures; what Google says is
believed only if it says so of this sign-in, to us, now.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import httpx
import structlog
from joserfc import jws, jwt
from joserfc.errors import InvalidClaimError, JoseError

from core.google_errors import GoogleSignInFailed, GoogleStateInvalid, GoogleUnavailable
from core.identity_providers import Challenge, Profile
from core.people import normalized_email
from integrations.provider_metadata import ProviderHttp, ProviderMetadata

log = structlog.get_logger(__name__)

GOOGLE_ISSUER: Final = "https://accounts.google.com"
# The one algorithm Google signs with. The token never chooses: it might say `none`, or have our
# copy of the public key taken for the secret of an HMAC.
ALGORITHM: Final = "RS256"
CLOCK_SKEW_SECONDS: Final = 30
SCOPE: Final = "openid email profile"
TOKEN_CHARACTERS_LIMIT: Final = 16_384
SUB_CHARACTERS_LIMIT: Final = 255
NAME_CHARACTERS_LIMIT: Final = 100
REASON_CHARACTERS_LIMIT: Final = 60
# For a name that Google does not tell.
NO_NAME: Final = "-"
JOINERS: Final = "\u200c\u200d"


@dataclass(frozen=True, slots=True, kw_only=True)
class GoogleClient:
    """Who we are to the provider that is `issuer`, and where it sends people back to."""

    issuer: str
    client_id: str
    client_secret: str
    redirect_uri: str


class GoogleProvider:
    """An IdentityProvider: Google, or whoever else `client` names as the issuer."""

    def __init__(self, client: GoogleClient):
        self._client = client
        self._http = ProviderHttp()
        self._metadata = ProviderMetadata(self._http, client.issuer)

    async def address(self, challenge: Challenge) -> str:
        """Return where to send the browser. Raises GoogleUnavailable."""
        doors = await self._metadata.doors()
        url = httpx.URL(doors.authorization_endpoint).copy_merge_params(
            {
                "response_type": "code",
                "client_id": self._client.client_id,
                "redirect_uri": self._client.redirect_uri,
                "scope": SCOPE,
                "state": challenge.state,
                "nonce": challenge.nonce,
                "code_challenge": challenge.code_challenge,
                "code_challenge_method": "S256",
            }
        )
        return str(url)

    async def identify(self, code: str, challenge: Challenge | None) -> Profile:
        """Return whom Google vouches for.

        Raises GoogleStateInvalid, GoogleSignInFailed or GoogleUnavailable.
        """
        if challenge is None:
            raise GoogleStateInvalid
        token = await self._exchange(code, challenge)
        claims = await self._verify(token)
        try:
            _check_claims(claims, self._client, nonce=challenge.nonce)
        except JoseError as error:
            raise _failed(error.error) from None
        return _profile(claims, self._client.issuer)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    async def _exchange(self, code: str, challenge: Challenge) -> str:
        """Return the ID token for a code."""
        doors = await self._metadata.doors()
        answer = await self._http.post(
            doors.token_endpoint,
            {
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": self._client.redirect_uri,
                "client_id": self._client.client_id,
                "client_secret": self._client.client_secret,
                "code_verifier": challenge.verifier,
            },
        )
        token = answer.body.get("id_token")
        if answer.status == 200 and isinstance(token, str):
            return token
        if answer.body.get("error") in {"invalid_grant", "invalid_request"}:
            raise _failed("the code is worth nothing")
        # Above all `invalid_client`: our settings are wrong, and no other code would do better.
        # Cut: whatever stands there, a line of the log is no place for much of it.
        reason = str(answer.body.get("error"))[:REASON_CHARACTERS_LIMIT]
        log.error("google_refused_us", status=answer.status, reason=reason)
        raise GoogleUnavailable

    async def _verify(self, token: str) -> Mapping[str, Any]:
        """Return what a token says that was signed with a key that is Google's now."""
        if len(token) > TOKEN_CHARACTERS_LIMIT:
            raise _failed("the token is too long")
        try:
            header = jws.extract_compact(token.encode()).headers()
            key_id = header.get("kid")
            if key_id is not None and not isinstance(key_id, str):
                raise _failed("not the name of a key")
            key = await self._metadata.key(key_id)
            if key is None:
                raise _failed("no such key")
            return jwt.decode(token, key, algorithms=[ALGORITHM]).claims
        except (JoseError, ValueError, RecursionError) as error:
            raise _failed(type(error).__name__) from None


def _check_claims(claims: Mapping[str, Any], client: GoogleClient, *, nonce: str) -> None:
    """Hold an ID token to OpenID Connect Core 1.0, section 3.1.3.7. Raises JoseError."""
    issuers = [client.issuer]
    if client.issuer == GOOGLE_ISSUER:
        # As its documentation has it, Google may leave the scheme out.
        issuers.append(GOOGLE_ISSUER.removeprefix("https://"))
    registry = jwt.JWTClaimsRegistry(
        leeway=CLOCK_SKEW_SECONDS,
        iss={"essential": True, "values": issuers},
        aud={"essential": True, "value": client.client_id},
        # Whom it was made for, if not for its audience.
        azp={"value": client.client_id},
        exp={"essential": True},
        iat={"essential": True},
        nonce={"essential": True, "value": nonce},
        sub={"essential": True},
    )
    registry.validate(dict(claims))
    if claims["aud"] not in (client.client_id, [client.client_id]):
        raise InvalidClaimError("aud")


def _profile(claims: Mapping[str, Any], issuer: str) -> Profile:
    sub = claims["sub"]
    if len(sub) > SUB_CHARACTERS_LIMIT or not (sub.isascii() and sub.isprintable()):
        raise _failed("not a sub")
    email = _verified_email(claims)
    first, last = _name(claims.get("given_name")), _name(claims.get("family_name"))
    return Profile(
        issuer=issuer,
        sub=sub,
        verified_email=email,
        first_name=first or _name(claims.get("name")) or NO_NAME,
        last_name=last or NO_NAME,
    )


def _verified_email(claims: Mapping[str, Any]) -> str | None:
    """Return the email that Google vouches for; only true itself is yes."""
    email = claims.get("email")
    if claims.get("email_verified") is not True or not isinstance(email, str):
        return None
    try:
        return normalized_email(email)
    except ValueError:
        return None


def _name(told: object) -> str:
    """Return as much of a name as sign-up would have accepted."""
    if not isinstance(told, str):
        return ""
    # Persian and Hindi need the joiners, as sign-up knows too.
    visible = "".join(letter for letter in told if letter.isprintable() or letter in JOINERS)
    return visible.strip()[:NAME_CHARACTERS_LIMIT].strip()


def _failed(reason: str) -> GoogleSignInFailed:
    """Tell the log what the caller need not know."""
    log.warning("google_sign_in_failed", reason=reason)
    return GoogleSignInFailed()
