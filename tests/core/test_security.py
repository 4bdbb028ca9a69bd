"""Passwords and access tokens."""

import base64
import json
import time
from typing import Any

import bcrypt
import pytest
from jose import jwt

from core.errors import Unauthenticated, Unavailable
from core.security import AUDIENCE, ISSUER, AccessTokens, PasswordHasher, is_common_password

SECRET = "a-secret-for-tests-of-at-least-32-bytes"
NOTHING: Any = None
TOKENS = AccessTokens(secret=SECRET, algorithm="HS256", lifetime_seconds=60)


def forged(*, secret: str = SECRET, algorithm: str = "HS256", **changes: Any) -> str:
    now = int(time.time())
    claims: dict[str, object] = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "1",
        "sid": "2",
        "jti": "x",
        "iat": now,
        "exp": now + 60,
    }
    claims |= changes
    kept = {name: value for name, value in claims.items() if value is not None}
    return str(jwt.encode(kept, secret, algorithm=algorithm))


def without_signature(algorithm: str) -> str:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    _, claims, _ = forged().split(".")
    return f"{part({'alg': algorithm, 'typ': 'JWT'})}.{claims}."


def test_a_token_says_who_and_which_sign_in() -> None:
    claims = TOKENS.verify(TOKENS.issue(user_id=7, sign_in_id=9))
    assert (claims.user_id, claims.sign_in_id) == (7, 9)
    assert TOKENS.verify(forged()).user_id == 1, "the forgery below fails for one reason each"


@pytest.mark.parametrize(
    "token",
    [
        *[forged(**{name: NOTHING}) for name in ("iss", "aud", "exp", "iat", "jti", "sub", "sid")],
        forged(iss="other"),
        forged(aud="other"),
        forged(exp=int(time.time()) - 1),
        forged(sub="one"),
        forged(sid=str(2**63)),
        forged(sub="-1"),
        forged(secret="another-secret-of-at-least-32-bytes!"),
        forged(algorithm="HS512"),
        without_signature("none"),
        without_signature("HS256"),
        forged()[:-2],
        "",
        "a.b.c",
        "\N{KEY}",
        "x" * 5000,
    ],
)
def test_a_token_that_is_not_ours_is_refused(token: str) -> None:
    with pytest.raises(Unauthenticated):
        TOKENS.verify(token)


def test_a_header_we_do_not_write_is_refused() -> None:
    token = jwt.encode(
        {"sub": "1"}, SECRET, algorithm="HS256", headers={"crit": ["exp"], "kid": "x"}
    )
    with pytest.raises(Unauthenticated):
        TOKENS.verify(token)


def test_a_token_verified_before_still_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    token = TOKENS.issue(user_id=1, sign_in_id=1)
    TOKENS.verify(token)
    later = time.time() + 61
    monkeypatch.setattr(time, "time", lambda: later)
    with pytest.raises(Unauthenticated):
        TOKENS.verify(token)


async def test_long_passwords_count_to_their_last_character() -> None:
    hasher = PasswordHasher(4)
    stored = await hasher.hash("x" * 100 + "a")
    assert await hasher.verify("x" * 100 + "a", stored) == (True, None)
    assert await hasher.verify("x" * 100 + "b", stored) == (False, None)


async def test_a_plain_bcrypt_hash_is_accepted_and_bettered() -> None:
    hasher = PasswordHasher(4)
    old = bcrypt.hashpw(b"correct horse", bcrypt.gensalt(4)).decode()

    fits, better = await hasher.verify("correct horse", old)

    assert fits
    assert better is not None
    assert better.startswith("$bcrypt-sha256$")
    assert await hasher.verify("correct horse", better) == (True, None)


async def test_nobody_has_no_password() -> None:
    hasher = PasswordHasher(4)
    assert await hasher.verify("anything", None) == (False, None)


async def test_hashing_is_capped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.security.HASHES_WAITING_LIMIT", 0)
    with pytest.raises(Unavailable):
        await PasswordHasher(4).hash("correct horse")


@pytest.mark.promise("signup")
def test_common_passwords() -> None:
    assert is_common_password("PassWord1")
    assert not is_common_password("securepass123")
