"""Signing in with Google as somebody else, row by row: what is refused, with which answer, and that
nothing comes of it.
"""

import base64
import hmac
import json
import time
from collections.abc import Callable
from dataclasses import dataclass

import httpx
import pytest
import structlog
from joserfc import jwt
from structlog.testing import CapturingLogger

from core.security import Signer
from db.session import Database
from tests.browser import CALLBACK, NOBODY, PATH, Browser, known_of, somebody
from tests.conftest import serving, settings_for
from tests.google_provider import (
    CLIENT_ID,
    NOWHERE,
    Claims,
    FakeGoogle,
    google_settings,
    new_key,
)
from tests.people import People
from tests.processes import SECRET_KEY

HOUR = 3600


@dataclass(frozen=True, slots=True)
class Lie:
    """An ID token that must not be believed: wrong in its claims, or in how it is signed."""

    name: str
    claims: Callable[[], Claims] = dict
    sign: Callable[[FakeGoogle, Claims], str] = lambda google, claims: google.sign(claims)

    def __str__(self) -> str:
        return self.name


def wrong(name: str, **claims: object) -> Lie:
    return Lie(name, lambda: claims)


def signed(name: str, sign: Callable[[FakeGoogle, Claims], str]) -> Lie:
    return Lie(name, sign=sign)


def encoded(*parts: bytes) -> str:
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


def with_algorithm_none(google: FakeGoogle, claims: Claims) -> str:
    header = {"alg": "none", "kid": google.key.kid}
    return encoded(json.dumps(header).encode(), json.dumps(claims).encode(), b"")


def with_the_public_key_as_secret(google: FakeGoogle, claims: Claims) -> str:
    # By hand: no library signs with such a secret any more.
    header = {"alg": "HS256", "kid": google.key.kid}
    text = encoded(json.dumps(header).encode(), json.dumps(claims).encode())
    secret = google.key.as_pem(private=False)
    return f"{text}.{encoded(hmac.digest(secret, text.encode(), 'sha256'))}"


def with_a_key_of_ones_own(google: FakeGoogle, claims: Claims) -> str:
    return jwt.encode({"alg": "RS256", "kid": google.key.kid}, claims, new_key())


def with_an_unknown_key(google: FakeGoogle, claims: Claims) -> str:
    key = new_key()
    return jwt.encode({"alg": "RS256", "kid": key.kid}, claims, key)


def with_a_key_that_it_brings_along(google: FakeGoogle, claims: Claims) -> str:
    key = new_key()
    header = {"alg": "RS256", "kid": key.kid, "jwk": key.as_dict(private=False)}
    return jwt.encode(header, claims, key)


def with_another_algorithm(google: FakeGoogle, claims: Claims) -> str:
    header = {"alg": "RS512", "kid": google.key.kid}
    return jwt.encode(header, claims, google.key, algorithms=["RS512"])


def without_naming_a_key(google: FakeGoogle, claims: Claims) -> str:
    return jwt.encode({"alg": "RS256"}, claims, google.key)


def with_a_list_as_key_name(google: FakeGoogle, claims: Claims) -> str:
    header = {"alg": "RS256", "kid": [google.key.kid]}
    return encoded(json.dumps(header).encode(), json.dumps(claims).encode(), b"signature")


def with_endless_nesting(google: FakeGoogle, claims: Claims) -> str:
    return encoded(b"[" * 5_000, b"[" * 5_000, b"signature")


def with_claims_put_in_afterwards(google: FakeGoogle, claims: Claims) -> str:
    head, _, signature = google.sign(claims | {"sub": "other"}).split(".")
    return f"{head}.{google.sign(claims).split('.')[1]}.{signature}"


LIES = (
    wrong("nonce of another sign-in", nonce="x" * 43),
    wrong("nonce missing", nonce=None),
    wrong("audience another client", aud="another-client"),
    wrong("audience missing", aud=None),
    wrong("audience also another client", aud=[CLIENT_ID, "another-client"]),
    wrong("made for another party", azp="another-client"),
    wrong("issuer another", iss="https://accounts.evil.example"),
    wrong("issuer missing", iss=None),
    wrong("issuer a list", iss=["https://accounts.google.com"]),
    Lie("expired", lambda: {"exp": int(time.time()) - HOUR}),
    wrong("expiry missing", exp=None),
    wrong("expiry a text", exp="never"),
    Lie("issued in the future", lambda: {"iat": int(time.time()) + HOUR}),
    wrong("time of issue missing", iat=None),
    wrong("sub missing", sub=None),
    wrong("sub empty", sub=""),
    wrong("sub a number", sub=1),
    wrong("sub too long", sub="1" * 256),
    wrong("sub with NUL", sub="1\0"),
    signed("algorithm none", with_algorithm_none),
    signed("HS256 by the public key", with_the_public_key_as_secret),
    signed("another key under the same name", with_a_key_of_ones_own),
    signed("unknown key", with_an_unknown_key),
    signed("key in the header", with_a_key_that_it_brings_along),
    signed("RS512", with_another_algorithm),
    signed("no key named", without_naming_a_key),
    signed("other claims, same signature", with_claims_put_in_afterwards),
    signed("key named by a list", with_a_list_as_key_name),
    signed("endlessly nested", with_endless_nesting),
    signed("no token", lambda _google, _claims: "garbage"),
    signed("empty", lambda _google, _claims: ""),
    signed("not ASCII", lambda _google, _claims: "é.é.é"),
    signed("too long", lambda _google, _claims: "a" * 100_000),
)


@pytest.mark.promise("S3-google-believed")
@pytest.mark.parametrize("lie", LIES, ids=str)
async def test_a_token_that_is_not_for_this_sign_in(
    lie: Lie, browser: Browser, google: FakeGoogle, database: Database
) -> None:
    claims = somebody()
    response = await browser.sign_in(
        google, claims | lie.claims(), lambda told: lie.sign(google, told)
    )

    assert (response.status_code, response.json()["code"]) == (401, "google_sign_in_failed")
    assert await known_of(database, claims) == NOBODY
    assert browser.cookies == {}
    # The same person, truly told, is let in: it was for the lie alone.
    assert (await browser.sign_in(google, claims)).status_code == 200


# --- whose sign-in is it ------------------------------------------------------------------------


async def begun(browser: Browser, google: FakeGoogle, claims: Claims) -> dict[str, str]:
    """Return what Google sends the browser back with."""
    return google.consent(await browser.leave(), claims)


async def refused(browser: Browser, back: dict[str, str]) -> tuple[int, str]:
    response = await browser.get(CALLBACK, **back)
    return response.status_code, response.json()["code"]


INVALID = (400, "google_state_invalid")
FAILED = (401, "google_sign_in_failed")


@pytest.mark.promise("S3-google-state")
async def test_the_state_of_another_browser(
    google_client: httpx.AsyncClient, google: FakeGoogle, database: Database
) -> None:
    mallory, jane, fresh = (Browser(google_client) for _ in range(3))
    claims = somebody()
    back = await begun(mallory, google, claims)
    await jane.leave()

    # Jane is made to open the address that Mallory was sent back to, having begun herself or not.
    assert await refused(jane, back) == INVALID
    assert await refused(fresh, back) == INVALID
    assert await known_of(database, claims) == NOBODY
    # The code was not even asked about.
    assert back["code"] in google.codes


@pytest.mark.promise("S3-google-state")
async def test_a_state_is_used_once(browser: Browser, google: FakeGoogle) -> None:
    back = await begun(browser, google, somebody())
    kept = dict(browser.cookies)
    assert (await browser.get(CALLBACK, **back)).status_code == 200

    assert await refused(browser, back) == INVALID
    # Whoever kept the cookie has a code that is worth nothing any more.
    browser.cookies = kept
    assert await refused(browser, back) == FAILED


@pytest.mark.promise("S3-google-state")
@pytest.mark.parametrize("change", ["missing", "empty", "other", "longer", "not ASCII"])
async def test_a_state_that_is_not_the_one(
    browser: Browser, google: FakeGoogle, change: str
) -> None:
    back = await begun(browser, google, somebody())
    state = back.pop("state")
    changed = {"empty": "", "other": state[::-1], "longer": f"{state}x", "not ASCII": "é" * 43}
    if change in changed:
        back["state"] = changed[change]

    assert await refused(browser, back) == INVALID


@pytest.mark.promise("S3-google-state")
async def test_a_cookie_that_is_not_ours_or_over(browser: Browser, google: FakeGoogle) -> None:
    back = await begun(browser, google, somebody())
    ((name, kept),) = browser.cookies.items()
    claims = {"state": back["state"], "nonce": "n", "verifier": "v" * 64}
    ours = {"algorithm": "HS256", "audience": "wallet-google-challenge"}
    tokens = {
        "changed": kept[:-2] + ("AA" if kept[-2:] != "AA" else "BB"),
        "empty": "",
        "garbage": "a.b.c",
        "other secret": Signer(secret="x" * 32, **ours).sign(claims, lifetime_seconds=60),
        "over": Signer(secret=SECRET_KEY, **ours).sign(claims, lifetime_seconds=-1),
        "for something else": Signer(
            secret=SECRET_KEY, algorithm="HS256", audience="wallet-google-link"
        ).sign(claims, lifetime_seconds=60),
    }
    for what, token in tokens.items():
        browser.cookies = {name: token}
        assert await refused(browser, back) == INVALID, what
    assert back["code"] in google.codes


@pytest.mark.promise("S3-google-state")
async def test_a_code_of_another_sign_in(
    google_client: httpx.AsyncClient, google: FakeGoogle, database: Database
) -> None:
    """Mallory cannot have her browser end what Jane began: the verifier is in Jane's."""
    jane, mallory = Browser(google_client), Browser(google_client)
    claims = somebody()
    stolen = await begun(jane, google, claims)
    own = await begun(mallory, google, somebody())

    assert await refused(mallory, own | {"code": stolen["code"]}) == FAILED
    assert await known_of(database, claims) == NOBODY


@pytest.mark.promise("S3-google-state")
async def test_a_code_that_nobody_gave(browser: Browser, google: FakeGoogle) -> None:
    for code in ("unknown", "test", "test_code", ""):
        back = await begun(browser, google, somebody())
        assert await refused(browser, back | {"code": code}) == FAILED
        # And those of the demo person are worth nothing where a provider is set up.
        assert await refused(browser, {"code": code}) == INVALID


@pytest.mark.promise("S3-google-state")
async def test_a_sign_in_that_was_declined(browser: Browser, google: FakeGoogle) -> None:
    state = (await begun(browser, google, somebody()))["state"]
    declined = {"error": "access_denied", "state": state}

    response = await browser.get(CALLBACK, **declined)

    assert (response.status_code, response.json()["code"]) == (401, "google_sign_in_declined")
    assert browser.cookies == {}
    assert await refused(browser, declined) == INVALID


@pytest.mark.promise("S3-google-believed")
@pytest.mark.parametrize("name", ["email", "email_verified", "id_token", "sub", "user_id"])
async def test_who_it_is_cannot_be_said_in_the_query(
    browser: Browser, google: FakeGoogle, people: People, name: str
) -> None:
    jane = await people.sign_up()
    back = await begun(browser, google, somebody())
    response = await browser.get(CALLBACK, **back, **{name: jane.email})

    assert (response.status_code, response.json()["code"]) == (422, "invalid_request")
    assert response.json()["errors"][0]["field"] == name
    assert jane.email not in response.text


# --- keys that change, and a provider that is away ----------------------------------------------


@pytest.mark.promise("S3-google-keys")
async def test_a_new_key_is_believed_at_once_and_the_old_one_no_longer(
    database_url: str, redis_url: str, google: FakeGoogle
) -> None:
    settings = settings_for(database_url, redis_url=redis_url, **google_settings(google.url))
    async with serving(settings) as client:
        browser = Browser(client)
        old = google.key
        assert (await browser.sign_in(google, somebody())).status_code == 200
        read = google.requests["/jwks"]
        assert (await browser.sign_in(google, somebody())).status_code == 200
        assert google.requests["/jwks"] == read, "keys are kept"

        google.key = new_key()

        assert (await browser.sign_in(google, somebody())).status_code == 200
        assert google.requests["/jwks"] == read + 1
        withdrawn = await browser.sign_in(
            google,
            somebody(),
            lambda claims: jwt.encode({"alg": "RS256", "kid": old.kid}, claims, old),
        )
        assert withdrawn.status_code == 401
        # However many tokens name a key that is nowhere, Google is not asked for each.
        for _ in range(5):
            lied = await browser.sign_in(
                google, somebody(), lambda claims: with_an_unknown_key(google, claims)
            )
            assert lied.status_code == 401
        assert google.requests["/jwks"] == read + 1


AWAY = (503, "google_unavailable")
# Filled in by the test: only a provider knows its issuer.
ADDRESSES_THAT_ARE_NONE = b'{"issuer": "ISSUER", "authorization_endpoint": "http://[x"}'


@pytest.mark.promise("S3-google-away")
@pytest.mark.parametrize(
    ("path", "fault"),
    [
        ("/.well-known/openid-configuration", 500),
        ("/.well-known/openid-configuration", 404),
        ("/.well-known/openid-configuration", b"<html>"),
        ("/.well-known/openid-configuration", b'{"issuer": "https://evil.example"}'),
        ("/.well-known/openid-configuration", b"[" * 100_000),
        ("/.well-known/openid-configuration", ADDRESSES_THAT_ARE_NONE),
        ("/.well-known/openid-configuration", b" " * 300_000 + b"{}"),
        ("/.well-known/openid-configuration", 0),
        ("/token", 500),
        ("/token", 429),
        ("/token", b"[]"),
        ("/token", 0),
        ("/jwks", 503),
        ("/jwks", b"\xff"),
        ("/jwks", 0),
    ],
    ids=str,
)
async def test_a_provider_that_does_not_answer_as_it_should(
    database_url: str,
    redis_url: str,
    google: FakeGoogle,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    fault: int | bytes,
) -> None:
    monkeypatch.setattr("integrations.provider_metadata.WAIT_SECONDS", 0.3)
    settings = settings_for(database_url, redis_url=redis_url, **google_settings(google.url))
    claims = somebody()
    async with serving(settings) as client:
        browser = Browser(client)
        if isinstance(fault, bytes):
            fault = fault.replace(b"ISSUER", google.url.encode())
        if path.startswith("/."):
            monkeypatch.setitem(google.faults, path, fault)
            response = await browser.get(PATH)
        else:
            back = await begun(browser, google, claims)
            monkeypatch.setitem(google.faults, path, fault)
            response = await browser.get(CALLBACK, **back)
        assert (response.status_code, response.json()["code"]) == AWAY
        assert int(response.headers["retry-after"]) >= 1
        assert await known_of(database, claims) == NOBODY
        # It recovers by itself.
        monkeypatch.undo()
        assert (await browser.sign_in(google, claims)).status_code == 200


@pytest.mark.promise("S3-google-away")
async def test_a_provider_that_is_nowhere_and_settings_that_it_does_not_know(
    database_url: str, redis_url: str, google: FakeGoogle
) -> None:
    nowhere = settings_for(database_url, redis_url=redis_url, **google_settings(NOWHERE))
    async with serving(nowhere) as client:
        response = await Browser(client).get(PATH)
        assert (response.status_code, response.json()["code"]) == AWAY
        # Nobody else is kept waiting.
        assert (await client.get("/livez")).status_code == 200
    values = google_settings(google.url) | {"google_client_secret": "wrong"}
    async with serving(settings_for(database_url, redis_url=redis_url, **values)) as client:
        browser = Browser(client)
        assert await refused(browser, await begun(browser, google, somebody())) == AWAY


async def test_little_of_what_a_provider_says_is_logged(
    browser: Browser, google: FakeGoogle, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = CapturingLogger()
    log = structlog.wrap_logger(lines, processors=[], wrapper_class=structlog.BoundLogger)
    monkeypatch.setattr("integrations.google.log", log)
    back = await begun(browser, google, somebody())
    body = json.dumps({"error": "x" * 100_000}).encode()
    monkeypatch.setitem(google.faults, "/token", body)
    assert await refused(browser, back) == AWAY
    assert len(lines.calls) == 1
    assert len(str(lines.calls)) < 300
