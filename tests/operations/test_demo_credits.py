"""The demo's credits: given once, and moved with the key that is printed."""

import asyncio
import re
import shlex
from pathlib import Path

import httpx
import pytest

from config import Settings
from operations.demo_credits import HOLDINGS
from operations.keys import revoke
from operations.seed import seed
from tests.conftest import create_postgres_database, migrate, serving, settings_for, sqlite_url
from tests.services import DIAMONDS, GOLD, POINTS, Service

pytestmark = pytest.mark.promise("S4-seed")


@pytest.fixture
async def settings(
    engine_name: str, tmp_path: Path, redis_url: str, request: pytest.FixtureRequest
) -> Settings:
    """Settings of an empty, migrated database."""
    if engine_name == "sqlite":
        url = sqlite_url(tmp_path)
    else:
        url = await create_postgres_database(request.getfixturevalue("postgres_url"))
    await migrate(url)
    return settings_for(url, redis_url=redis_url)


async def run(settings: Settings, capsys: pytest.CaptureFixture[str]) -> str:
    """Seed and return what is printed."""
    # In a thread: the command runs an event loop of its own.
    assert await asyncio.to_thread(seed, settings) == 0
    return capsys.readouterr().out


def key_in(printed: str) -> str:
    found = re.search(r"^ *KEY=(sk_test_\S+)$", printed, re.MULTILINE)
    assert found is not None, printed
    return found[1]


async def holdings(service: Service) -> list[object]:
    return [
        await service.balance(user, asset)
        for user in ("user_alice", "user_bob")
        for asset in (GOLD, DIAMONDS, POINTS)
    ]


async def test_alice_and_bob_are_given_credits_once(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = await run(settings, capsys)

    async with serving(settings) as client:
        service = Service(client, key_in(printed))
        assert await holdings(service) == [100, 50, 500, 80, 30, 200]
        assert (await service.move("spend", "user_alice", 30)).status_code == 201

        again = await run(settings, capsys)

        # What happened since stays, and the key that was printed works on.
        assert await holdings(service) == [70, 50, 500, 80, 30, 200]
        assert "KEY=$(./wallet keys create --permissions credits)" in again
        assert "sk_test_" not in again
        assert len(await service.transactions("user_bob")) == len(HOLDINGS) / 2


async def test_what_is_printed_shows_a_balance(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = await run(settings, capsys)
    found = re.search(r"^ *(curl .*X-API-Key.*)$", printed, re.MULTILINE)
    assert found is not None
    *_, header, url = shlex.split(found[1].replace("$KEY", key_in(printed)))
    name, _, value = header.partition(": ")

    async with serving(settings) as client:
        path = httpx.URL(url).raw_path.decode()
        shown = (await client.get(path, headers={name: value})).json()

    assert (shown["external_user_id"], shown["balance"]) == ("user_alice", 100)


async def test_a_demo_whose_key_is_over_gets_another(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    first = key_in(await run(settings, capsys))
    assert await asyncio.to_thread(revoke, settings, int(first.split("_")[2])) == 0
    capsys.readouterr()

    second = key_in(await run(settings, capsys))

    assert second != first
    async with serving(settings) as client:
        assert await Service(client, second).balance("user_alice") == 100
