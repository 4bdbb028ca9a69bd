"""`./wallet keys`: what an operator types, and what is printed: the key once and then never."""

import asyncio
import re
from datetime import timedelta
from pathlib import Path

import pytest

from config import Settings
from core.api_keys import TEST
from core.key_check import KeyCheck
from core.key_errors import ApiKeyRevoked
from db.session import Database
from operations import keys
from tests.api_keys import row_of
from tests.conftest import settings_for, sqlite_url

pytestmark = pytest.mark.promise("api-keys")


@pytest.fixture
def settings(database_url: str) -> Settings:
    return settings_for(database_url)


async def create(settings: Settings, **options: str) -> int:
    # In a thread: the command runs an event loop of its own.
    chosen = {"permissions": "credits", "name": "shop", "expires": "1M"} | options
    return await asyncio.to_thread(keys.create, settings, **chosen)


async def test_a_key_is_printed_once_and_works_until_it_is_revoked(
    settings: Settings, database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await create(settings) == 0
    printed = capsys.readouterr()
    text = printed.out.removesuffix("\n")
    match = re.fullmatch(rf"{TEST}_([0-9]+)_([0-9a-f]{{64}})", text)
    assert match is not None
    key_id, secret = match.groups()
    check = KeyCheck(database, prefix=TEST)
    assert (await check.identify(text)).owner_id is None

    assert await asyncio.to_thread(keys.show, settings) == 0
    listed = capsys.readouterr()
    assert await asyncio.to_thread(keys.revoke, settings, int(key_id)) == 0
    revoked = capsys.readouterr()

    assert f"Key {key_id} is revoked" in revoked.out
    with pytest.raises(ApiKeyRevoked):
        await check.identify(text)
    await check.stop()
    said = printed.err + "".join((*listed, *revoked))
    assert secret not in re.sub(r"\s", "", said)


@pytest.mark.parametrize(
    ("expires", "lifetime"),
    [("1H", 1 / 24), ("1D", 1), ("1M", 30), ("1Y", 365), ("never", None)],
)
async def test_a_key_lasts_as_long_as_it_was_told_to(
    settings: Settings,
    database: Database,
    capsys: pytest.CaptureFixture[str],
    expires: str,
    lifetime: float | None,
) -> None:
    assert await create(settings, expires=expires) == 0

    key_id = int(capsys.readouterr().out.split("_")[2])
    row = await row_of(database, key_id)
    lasts = row.expires_at - row.created_at if row.expires_at else None
    assert lasts == (None if lifetime is None else timedelta(days=lifetime))


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"permissions": "money"}, "A key of the house's may have: credits."),
        ({"permissions": ""}, "A key of the house's may have: credits."),
        ({"permissions": "credits,read"}, "A key of the house's may have: credits."),
        ({"expires": "2D"}, "A key expires after 1H, 1D, 1M, 1Y, or never."),
        ({"name": ""}, "A name has 1 to 100 characters"),
        ({"name": "x" * 101}, "A name has 1 to 100 characters"),
        ({"name": "a\nb"}, "A name has 1 to 100 characters"),
    ],
)
async def test_what_cannot_be_made_is_one_sentence(
    settings: Settings, capsys: pytest.CaptureFixture[str], options: dict[str, str], why: str
) -> None:
    assert await create(settings, **options) == 2

    printed = capsys.readouterr()
    assert printed.out == ""
    assert why in printed.err


async def test_an_unknown_id_is_one_sentence(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await asyncio.to_thread(keys.revoke, settings, 10**17) == 1

    assert "There is no API key with this id" in capsys.readouterr().err


async def test_an_outdated_schema_is_said_with_its_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await create(settings_for(sqlite_url(tmp_path))) == 3

    assert "./wallet migrate" in capsys.readouterr().err
