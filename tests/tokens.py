"""Access tokens that are not valid, each wrong in one way, and the means to make them."""

import base64
import json
import time
from collections.abc import Mapping
from typing import Any

from jose import jwt

from core.security import AUDIENCE, ISSUER
from tests.people import Person, sign_in
from tests.processes import SECRET_KEY


async def claims_of(owner: Person) -> dict[str, Any]:
    """Return the claims of a valid token of a person's."""
    token = (await sign_in(owner.client, owner.email))["access_token"]
    return dict(jwt.get_unverified_claims(token))


def signed(
    claims: Mapping[str, Any],
    *,
    secret: str = SECRET_KEY,
    algorithm: str = "HS256",
    headers: Mapping[str, Any] | None = None,
) -> str:
    """Sign claims as the service does, unless told otherwise."""
    return str(jwt.encode(dict(claims), secret, algorithm=algorithm, headers=headers))


def unsigned(claims: Mapping[str, Any], algorithm: str) -> str:
    """Return a token that claims to need no signature."""
    parts = [json.dumps(part).encode() for part in ({"alg": algorithm, "typ": "JWT"}, claims)]
    encoded = [base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts]
    return ".".join([*encoded, ""])


async def ended_token(owner: Person) -> str:
    """Return the token of a sign-in that was ended."""
    token = (await sign_in(owner.client, owner.email))["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    ended = await owner.client.post("/logout", headers=headers)
    assert ended.status_code == 204
    return str(token)


async def forged_headers(owner: Person) -> dict[str, list[str]]:
    """Return Authorization headers that name nobody, each wrong in one way."""
    claims = await claims_of(owner)
    valid = signed(claims)
    tokens = {
        **_forged_tokens(claims, valid),
        "ended": await ended_token(owner),
        "refresh token": (await sign_in(owner.client, owner.email))["refresh_token"],
    }
    return {
        **{name: [f"Bearer {token}"] for name, token in tokens.items()},
        "two headers": [f"Bearer {valid}", f"Bearer {valid}"],
        "one right, one wrong": [f"Bearer {valid}", "Bearer garbage"],
        "two in one": [f"Bearer {valid}, Bearer {valid}"],
        "no scheme": [valid],
        "other scheme": [f"Basic {valid}"],
        "scheme alone": ["Bearer"],
        "password": [f"Basic {base64.b64encode(b'jane@example.com:secret').decode()}"],
    }


def _forged_tokens(claims: Mapping[str, Any], valid: str) -> dict[str, str]:
    head, payload, signature = valid.split(".")
    other_payload = signed({**claims, "sub": str(2**62)}).split(".")[1]
    return {
        "garbage": "garbage",
        "empty": "",
        "three empty parts": "..",
        "not ASCII": "é.é.é",
        "very long": "a" * 10_000,
        "expired": signed({**claims, "exp": int(time.time()) - 1}),
        "other algorithm": signed(claims, algorithm="HS512"),
        "algorithm none": unsigned(claims, "none"),
        "algorithm None": unsigned(claims, "None"),
        "no signature": f"{head}.{payload}.",
        "other signature": f"{head}.{payload}.{signature[::-1]}",
        "other payload": f"{head}.{other_payload}.{signature}",
        "wrong secret": signed(claims, secret="another secret of at least 32 bytes!"),
        "empty secret": signed(claims, secret=""),
        "wrong audience": signed({**claims, "aud": f"{AUDIENCE}-2"}),
        "wrong issuer": signed({**claims, "iss": f"{ISSUER}-2"}),
        "unknown sign-in": signed({**claims, "sid": str(2**62)}),
        "no number as sign-in": signed({**claims, "sid": "x"}),
        "key named in the header": signed(claims, headers={"kid": "../../dev/null"}),
        "critical header": signed(claims, headers={"crit": ["exp"]}),
        **{
            f"without {name}": signed({key: claims[key] for key in claims if key != name})
            for name in claims
        },
        **{f"{name} null": signed({**claims, name: None}) for name in ("sub", "sid", "exp")},
    }
