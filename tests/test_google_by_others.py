"""Signing in with a provider that others wrote: oidc-provider-mock, in a process of its own."""

import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Self
from urllib.parse import quote

import httpx
import pytest

from operations.listening import free_port
from tests.browser import CALLBACK, Browser, bearer, somebody
from tests.conftest import serving, settings_for
from tests.google_provider import Claims, google_settings
from tests.processes import RealProcess

pytestmark = pytest.mark.promise("S3-google")


class OidcProviderMock(RealProcess):
    """The provider, with a new key and without any memory after each start.

    It has one key, and does not say which it signs with; PKCE it ignores.
    """

    def __init__(self, log_path: Path) -> None:
        super().__init__(log_path=log_path)
        self._port = free_port()

    @property
    def url(self) -> str:
        """Its issuer."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> Self:
        """Starts it; returns when it answers."""
        options = ["--port", str(self._port), "--require-nonce", "true"]
        self._spawn([sys.executable, "-m", "oidc_provider_mock", *options], self._answers)
        return self

    async def consent(self, address: str, claims: Claims, **form: str) -> dict[str, str]:
        """Say yes, or what `form` says, as this person on the page at `address`."""
        sub = str(claims["sub"])
        told = {name: value for name, value in claims.items() if name != "sub"}
        async with httpx.AsyncClient() as http:
            made = await http.put(f"{self.url}/users/{quote(sub)}", json=told)
            assert made.status_code == 204, made.text
            page = await http.get(address)
            assert page.status_code == 200, page.text
            answer = await http.post(address, data={"sub": sub, **form})
        back = httpx.URL(answer.headers["location"])
        assert str(back).startswith("http://wallet.test/auth/google/callback?")
        return dict(back.params)

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/jwks").status_code == 200
        except httpx.HTTPError:
            return False


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OidcProviderMock]:
    with OidcProviderMock(tmp_path_factory.mktemp("provider") / "provider.log") as process:
        yield process


@pytest.fixture(scope="module")
async def client(
    database_url: str, redis_url: str, provider: OidcProviderMock
) -> AsyncIterator[httpx.AsyncClient]:
    settings = settings_for(database_url, redis_url=redis_url, **google_settings(provider.url))
    async with serving(settings) as opened:
        yield opened


async def test_the_whole_way(client: httpx.AsyncClient, provider: OidcProviderMock) -> None:
    browser, claims = Browser(client), somebody()
    back = await provider.consent(await browser.leave(), claims)
    kept = dict(browser.cookies)
    response = await browser.get(CALLBACK, **back)

    assert response.status_code == 200, response.text
    me = (await client.get("/users/me", headers=bearer(response))).json()
    assert (me["email"], me["first_name"]) == (claims["email"], "Jane")
    assert (await client.get("/wallet", headers=bearer(response))).status_code == 200
    # The code once more, by a browser that kept what it was told to forget.
    browser.cookies = kept
    again = await browser.get(CALLBACK, **back)
    assert (again.status_code, again.json()["code"]) == (401, "google_sign_in_failed")
    # The person once more, with another code.
    back = await provider.consent(await browser.leave(), claims)
    second = await browser.get(CALLBACK, **back)
    assert (await client.get("/users/me", headers=bearer(second))).json() == me


async def test_what_it_does_not_vouch_for(
    client: httpx.AsyncClient, provider: OidcProviderMock
) -> None:
    browser = Browser(client)
    back = await provider.consent(await browser.leave(), somebody(email_verified=False))
    response = await browser.get(CALLBACK, **back)
    assert (response.status_code, response.json()["code"]) == (403, "google_email_unverified")

    back = await provider.consent(await browser.leave(), somebody(), action="deny")
    # This provider leaves the state out of a refusal, which Google does not.
    response = await browser.get(CALLBACK, **back)
    assert response.status_code in {400, 401}


async def test_it_is_away_for_a_while(
    client: httpx.AsyncClient, provider: OidcProviderMock
) -> None:
    browser = Browser(client)
    back = await provider.consent(await browser.leave(), somebody())
    provider.stop()

    response = await browser.get(CALLBACK, **back)

    assert (response.status_code, response.json()["code"]) == (503, "google_unavailable")
    provider.start()
