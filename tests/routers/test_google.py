"""Signing in with Google, as people do it who have nothing to hide."""

import asyncio
import statistics
import time

import httpx
import pytest

from db.session import Database
from tests.browser import CALLBACK, NOBODY, PATH, Browser, bearer, known_of, somebody
from tests.conftest import serving, settings_for
from tests.google_provider import FakeGoogle, google_settings
from tests.people import PASSWORD, People


@pytest.mark.promise("S3-google")
async def test_the_browser_is_sent_with_a_challenge_that_it_keeps(
    browser: Browser, google: FakeGoogle
) -> None:
    response = await browser.get(PATH)

    assert response.status_code == 302
    assert response.headers["cache-control"] == "no-store"
    address = httpx.URL(response.headers["location"])
    assert str(address).startswith(f"{google.url}/authorize?")
    assert {"state", "nonce", "code_challenge"} <= set(address.params)
    name, _, attributes = browser.set_cookie.partition("; ")
    assert name.startswith("google_sign_in=")
    assert attributes == "Max-Age=600; Path=/auth/google; HttpOnly; SameSite=Lax"
    # Each sign-in has secrets of its own.
    again = httpx.URL(await browser.leave())
    for secret in ("state", "nonce", "code_challenge"):
        assert again.params[secret] != address.params[secret]


@pytest.mark.promise("S3-google")
async def test_in_production_the_cookie_goes_nowhere_in_the_clear(
    database_url: str, redis_url: str, google: FakeGoogle
) -> None:
    settings = settings_for(database_url, redis_url=redis_url, **google_settings(google.url))
    # Settings insist on https there, which this provider does not speak.
    settings = settings.model_copy(update={"environment": "production"})
    async with serving(settings) as opened:
        browser = Browser(opened)
        await browser.leave()

    assert browser.set_cookie.endswith("; Secure")


@pytest.mark.promise("S3-google", "S3-google-wallet")
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_newcomer_gets_an_account_a_wallet_and_tokens(
    browser: Browser, client: httpx.AsyncClient, google: FakeGoogle, method: str
) -> None:
    claims = somebody(given_name="Zoë", family_name="Ọbí")
    response = await browser.sign_in(google, claims, method=method)

    assert response.status_code == 200, response.text
    assert response.headers["cache-control"] == "no-store"
    tokens = response.json()
    assert set(tokens) == {"access_token", "token_type", "expires_in", "refresh_token"}
    assert (tokens["token_type"], tokens["expires_in"]) == ("bearer", 1800)
    assert browser.cookies == {}, "what was used is forgotten"
    me = (await client.get("/users/me", headers=bearer(response))).json()
    assert (me["first_name"], me["last_name"], me["email"]) == ("Zoë", "Ọbí", claims["email"])
    wallet = (await client.get("/wallet", headers=bearer(response))).json()
    assert (wallet["balance"], wallet["currency"], wallet["user_id"]) == (0, "NGN", me["id"])
    refreshed = await client.post("/token/refresh", json={"refresh_token": tokens["refresh_token"]})
    assert refreshed.status_code == 200


@pytest.mark.promise("S3-google")
async def test_people_are_known_by_their_sub_whatever_else_changes(
    browser: Browser, client: httpx.AsyncClient, google: FakeGoogle
) -> None:
    claims = somebody()
    first = await browser.sign_in(google, claims)
    changed = claims | {"email": somebody()["email"], "given_name": "Joe", "email_verified": False}
    second = await browser.sign_in(google, changed)

    people = [
        (await client.get("/users/me", headers=bearer(response))).json()
        for response in (first, second)
    ]
    assert people[0] == people[1]
    # And another `sub` is another person, with the same name.
    other = await browser.sign_in(google, claims | {"sub": somebody()["sub"], "email": "x@y.org"})
    assert (await client.get("/users/me", headers=bearer(other))).json()["id"] != people[0]["id"]


@pytest.mark.promise("S3-google-wallet")
async def test_the_first_wallet_is_opened_once_in_a_life(
    browser: Browser, client: httpx.AsyncClient, google: FakeGoogle
) -> None:
    claims = somebody()
    headers = bearer(await browser.sign_in(google, claims))
    assert (await client.delete("/wallet", headers=headers)).status_code == 200

    headers = bearer(await browser.sign_in(google, claims))

    assert (await client.get("/wallet", headers=headers)).status_code == 404
    opened = await client.post("/wallet", json={"currency": "USD"}, headers=headers)
    assert opened.status_code == 201
    headers = bearer(await browser.sign_in(google, claims))
    assert (await client.get("/wallet", headers=headers)).json()["currency"] == "USD"


@pytest.mark.promise("S3-google-wallet")
async def test_the_wallet_is_in_the_default_currency(
    database_url: str, redis_url: str, google: FakeGoogle
) -> None:
    changes = {"default_currency": "KES", **google_settings(google.url)}
    async with serving(settings_for(database_url, redis_url=redis_url, **changes)) as client:
        headers = bearer(await Browser(client).sign_in(google, somebody()))
        wallet = (await client.get("/wallet", headers=headers)).json()

    assert wallet["currency"] == "KES"


@pytest.mark.promise("S3-google")
async def test_who_arrives_twice_at_once_is_one_person_with_one_wallet(
    client: httpx.AsyncClient, google_client: httpx.AsyncClient, google: FakeGoogle
) -> None:
    claims = somebody()
    browsers = [Browser(google_client) for _ in range(8)]
    backs = [google.consent(await browser.leave(), claims) for browser in browsers]
    responses = await asyncio.gather(
        *[browser.get(CALLBACK, **back) for browser, back in zip(browsers, backs, strict=True)]
    )

    assert [response.status_code for response in responses] == [200] * 8
    me = [(await client.get("/users/me", headers=bearer(item))).json() for item in responses]
    assert len({person["id"] for person in me}) == 1
    wallet = await client.get("/wallet", headers=bearer(responses[0]))
    assert wallet.status_code == 200


@pytest.mark.promise("S3-google")
async def test_without_a_password_no_password_fits_and_it_takes_as_long(
    database_url: str, redis_url: str, google: FakeGoogle
) -> None:
    changes = {"password_hash_rounds": 9, **google_settings(google.url)}
    async with serving(settings_for(database_url, redis_url=redis_url, **changes)) as client:
        email = somebody()["email"]
        assert (await Browser(client).sign_in(google, somebody(email=email))).status_code == 200
        known = (await People(client).sign_up()).email

        async def refused_seconds(username: str, password: str = "wrong password") -> float:
            started = time.perf_counter()
            form = {"username": username, "password": password}
            response = await client.post("/token", data=form)
            assert (response.status_code, response.json()["code"]) == (401, "invalid_credentials")
            return time.perf_counter() - started

        for password in ("-", "None", "null", "!", PASSWORD):
            await refused_seconds(email, password)
        pairs = [(await refused_seconds(known), await refused_seconds(email)) for _ in range(9)]
    with_password, without = (statistics.median(column) for column in zip(*pairs, strict=True))
    # A hash of this cost takes some 25 ms.
    assert 0.5 < without / with_password < 2


@pytest.mark.promise("S3-google")
@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ({"given_name": None, "family_name": None, "name": "Madonna"}, ("Madonna", "-")),
        ({"given_name": None, "family_name": None}, ("-", "-")),
        ({"given_name": " \u202e\n ", "family_name": 7, "name": "A\u0000b"}, ("Ab", "-")),
        ({"given_name": "x" * 300, "family_name": "  y "}, ("x" * 100, "y")),
    ],
    ids=str,
)
async def test_a_name_that_google_does_not_tell(
    browser: Browser,
    client: httpx.AsyncClient,
    google: FakeGoogle,
    told: dict[str, object],
    shown: tuple[str, str],
) -> None:
    response = await browser.sign_in(google, somebody(**told))

    me = (await client.get("/users/me", headers=bearer(response))).json()
    assert (me["first_name"], me["last_name"]) == shown


@pytest.mark.promise("S3-google-unverified")
@pytest.mark.parametrize(
    "told",
    [
        {"email_verified": False},
        {"email_verified": None},
        {"email_verified": "true"},
        {"email_verified": 1},
        {"email": None},
        {"email": "not an address"},
        {"email": ["jane@example.com"]},
    ],
    ids=str,
)
async def test_an_email_that_google_does_not_vouch_for_makes_nobody(
    browser: Browser, google: FakeGoogle, database: Database, told: dict[str, object]
) -> None:
    claims = somebody(**told)
    response = await browser.sign_in(google, claims)

    assert (response.status_code, response.json()["code"]) == (403, "google_email_unverified")
    assert await known_of(database, claims) == NOBODY
