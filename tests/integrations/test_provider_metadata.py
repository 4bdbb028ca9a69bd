"""What a provider of sign-ins publishes is kept while the provider is away, and not for ever."""

import asyncio
from collections.abc import Mapping
from typing import Any, cast

import pytest
from joserfc.jwk import RSAKey

from core.google_errors import GoogleUnavailable
from integrations import provider_metadata
from integrations.provider_metadata import ProviderHttp, ProviderMetadata

ISSUER = "https://issuer.example"


class Http:
    """A provider that can be away, or not answer before it is told to."""

    def __init__(self) -> None:
        self.key = RSAKey.generate_key(2048, {"kid": "first", "use": "sig", "alg": "RS256"})
        self.away = False
        self.answer = asyncio.Event()
        self.answer.set()
        self.calls = 0

    async def get(self, url: str) -> Mapping[str, Any]:
        self.calls += 1
        await self.answer.wait()
        if self.away:
            raise GoogleUnavailable
        if url.endswith("openid-configuration"):
            return {
                "issuer": ISSUER,
                "authorization_endpoint": f"{ISSUER}/authorize",
                "token_endpoint": f"{ISSUER}/token",
                "jwks_uri": f"{ISSUER}/keys",
            }
        return {"keys": [self.key.as_dict(private=False)]}


@pytest.fixture
def http() -> Http:
    return Http()


@pytest.fixture
def metadata(http: Http) -> ProviderMetadata:
    return ProviderMetadata(cast(ProviderHttp, http), ISSUER)


async def test_what_was_never_read_cannot_be_kept(http: Http, metadata: ProviderMetadata) -> None:
    http.away = True
    for _ in range(2):
        with pytest.raises(GoogleUnavailable):
            await metadata.doors()
        with pytest.raises(GoogleUnavailable):
            await metadata.key("first")


async def test_while_the_provider_is_away_what_is_known_is_used(
    http: Http, metadata: ProviderMetadata, monkeypatch: pytest.MonkeyPatch
) -> None:
    doors, key = await metadata.doors(), await metadata.key("first")
    assert key is not None
    monkeypatch.setattr(provider_metadata, "KEPT_SECONDS", 0)
    http.away = True
    http.calls = 0
    for _ in range(5):
        assert await metadata.doors() == doors
        assert await metadata.key("first") is key
        assert await metadata.key(None) is key
    # After it was away once, it is not asked for each of many.
    assert http.calls == 1

    monkeypatch.setattr(provider_metadata, "OVER_SECONDS", 0)
    with pytest.raises(GoogleUnavailable):
        await metadata.doors()
    with pytest.raises(GoogleUnavailable):
        await metadata.key("first")


async def test_nobody_waits_who_could_do_without(
    http: Http, metadata: ProviderMetadata, monkeypatch: pytest.MonkeyPatch
) -> None:
    await metadata.key("first")
    monkeypatch.setattr(provider_metadata, "KEPT_SECONDS", 0)
    http.answer.clear()
    asking = asyncio.create_task(metadata.key("another"))
    await asyncio.sleep(0)

    async with asyncio.timeout(1):
        assert await metadata.key("first") is not None
        assert (await metadata.doors()).token_endpoint

    http.answer.set()
    assert await asking is None
