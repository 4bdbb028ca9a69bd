"""Providers of others for tests: a Google that vouches for whom it is told to, and a Paystack."""

from collections.abc import AsyncIterator

import httpx
import pytest

from devtools.paystack.app import LocalPaystack
from tests.browser import Browser
from tests.conftest import serving, settings_for
from tests.google_provider import FakeGoogle, fake_google, google_settings
from tests.paystack import SECRET


@pytest.fixture(scope="module")
async def google() -> AsyncIterator[FakeGoogle]:
    """A provider of this module alone."""
    async with fake_google() as provider:
        yield provider


@pytest.fixture(scope="module")
async def google_client(
    database_url: str, redis_url: str, google: FakeGoogle
) -> AsyncIterator[httpx.AsyncClient]:
    """The application that signs in with this provider, on the same database as `client`."""
    settings = settings_for(database_url, redis_url=redis_url, **google_settings(google.url))
    async with serving(settings) as opened:
        yield opened


@pytest.fixture
def browser(google_client: httpx.AsyncClient) -> Browser:
    """A browser that knows of nothing yet."""
    return Browser(google_client)


@pytest.fixture(scope="module")
async def shop(
    database_url: str, redis_url: str, provider: LocalPaystack
) -> AsyncIterator[httpx.AsyncClient]:
    """The application with this Paystack, on the same database as `client`."""
    settings = settings_for(
        database_url,
        redis_url=redis_url,
        paystack_secret_key=SECRET,
        paystack_base_url=provider.base_url,
    )
    async with serving(settings) as opened:
        yield opened
