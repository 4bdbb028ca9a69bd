"""`./wallet assets`: what an operator adds is there for services, in every process, for good."""

import asyncio
import random
import string
from pathlib import Path

import httpx
import pytest

from config import Settings
from db.session import Database
from operations import assets
from tests.conftest import settings_for, sqlite_url
from tests.services import Service, open_service, path_of, somebody

pytestmark = pytest.mark.promise("S4-assets")


@pytest.fixture
def settings(database_url: str) -> Settings:
    return settings_for(database_url)


@pytest.fixture
async def service(client: httpx.AsyncClient, database: Database) -> Service:
    return await open_service(client, database)


def new_code() -> str:
    return "".join(random.choices(string.ascii_uppercase, k=8))


async def add(settings: Settings, code: str, name: str = "Gems", scale: int = 0) -> int:
    # In a thread: the command runs an event loop of its own.
    return await asyncio.to_thread(assets.add, settings, code=code, name=name, scale=scale)


@pytest.mark.promise("S4-amounts", "S4-ledger")
async def test_what_was_added_can_be_given(
    settings: Settings, service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    # What is known by then is not all there will be.
    assert (await service.get("/api/v1/assets")).status_code == 200
    code, user = new_code(), somebody()

    assert await add(settings, code, scale=2) == 0

    asset_id = int(capsys.readouterr().out.rstrip(".\n").rpartition(" ")[2])
    given = await service.move("top-up", user, "2.50", asset_id)
    assert given.status_code == 201, given.text
    assert (given.json()["amount"], given.json()["new_balance"]) == (2.5, 2.5)
    too_fine = await service.move("spend", user, "0.001", asset_id)
    assert (too_fine.status_code, too_fine.json()["errors"][0]["field"]) == (422, "amount")
    assert (await service.move("spend", user, 0.25, asset_id)).json()["new_balance"] == 2.25
    told = [(item["amount"], item["balance"]) for item in await service.ledger(user)]
    assert told == [(-0.25, 2.25), (2.5, 2.5)]
    assert [item["amount"] for item in await service.transactions(user)] == [0.25, 2.5]
    listed = (await service.get("/api/v1/assets")).json()
    assert {"id": asset_id, "code": code, "name": "Gems", "scale": 2} in listed
    assert await asyncio.to_thread(assets.show, settings) == 0
    assert code in capsys.readouterr().out


@pytest.mark.promise("S4-amounts")
async def test_nobody_holds_more_than_a_number_can_tell(
    service: Service,
) -> None:
    user, most = somebody(), 999_999_999_999_999
    assert (await service.move("top-up", user, most)).json()["new_balance"] == most

    refused = await service.move("bonus", user, 1)

    assert (refused.status_code, refused.json()["code"]) == (422, "balance_limit_exceeded")
    # The treasury has given out more than that by then, and gives on.
    other = somebody()
    assert (await service.move("top-up", other, most)).status_code == 201
    assert (await service.get(path_of(other, "balance"), asset_type_id=1)).json()["balance"] == most
    for name in (user, other):
        assert (await service.move("spend", name, most)).status_code == 201


@pytest.mark.parametrize(
    ("code", "name", "scale", "why"),
    [
        ("GOLD", "Gold again", 0, "Another asset has this code"),
        ("NGN", "Not naira", 2, "Another asset has this code"),
        ("gems", "Gems", 0, "A code has 2 to 8 capital letters."),
        ("G", "Gems", 0, "A code has 2 to 8 capital letters."),
        ("GEMSGEMSG", "Gems", 0, "A code has 2 to 8 capital letters."),
        ("GEMX", "", 0, "A name has 1 to 100"),
        ("GEMX", "a\nb", 0, "A name has 1 to 100"),
        ("GEMX", "Gems", -1, "A scale is"),
        ("GEMX", "Gems", 9, "A scale is"),
    ],
)
async def test_what_cannot_be_added_is_one_sentence(
    settings: Settings,
    capsys: pytest.CaptureFixture[str],
    code: str,
    name: str,
    scale: int,
    why: str,
) -> None:
    assert await add(settings, code, name, scale) == 1

    printed = capsys.readouterr()
    assert printed.out == ""
    assert why in printed.err


async def test_an_outdated_schema_is_said_with_its_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = settings_for(sqlite_url(tmp_path))

    assert await add(settings, "GEMX") == 3
    assert await asyncio.to_thread(assets.show, settings) == 3

    assert capsys.readouterr().err.count("./wallet migrate") == 2
