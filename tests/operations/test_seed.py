"""`wallet seed`: the demo is made once, completed after a crash, and works as it says."""

import asyncio
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import SQLModel

from config import Settings
from core.verification import verify_rules
from db.models import Tables
from db.session import Database, DatabaseOptions
from operations import seed as demo
from operations.demo_credits import HOLDINGS
from operations.seed import HISTORY, PASSWORD, SERVICE_URL, seed
from tests.conftest import create_postgres_database, migrate, serving, settings_for, sqlite_url

Rows = dict[str, set[tuple[Any, ...]]]


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


async def run(settings: Settings) -> int:
    # In a thread: the command runs an event loop of its own.
    return await asyncio.to_thread(seed, settings)


async def read_all(settings: Settings) -> Rows:
    """Return every row of every table."""
    database = Database(DatabaseOptions(url=settings.database_url))
    try:
        async with database.reading() as session:
            connection = await session.connection()
            return {
                table.name: {tuple(row) for row in await connection.execute(table.select())}
                for table in SQLModel.metadata.sorted_tables
            }
    finally:
        await database.close()


def wallets_of_people(rows: Rows) -> list[tuple[Any, ...]]:
    return [row for row in rows[Tables.wallets.name] if row[1] is not None]


async def broken_rules(settings: Settings) -> list[str]:
    database = Database(DatabaseOptions(url=settings.database_url))
    try:
        return [r.rule.name async for r in verify_rules(database) if not r.holds]
    finally:
        await database.close()


async def test_the_demo_is_made_once(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await run(settings) == 0
    made = "Made: 4 people, 4 wallets, 9 transactions, 6 holdings, a service key."
    assert made in capsys.readouterr().out
    first = await read_all(settings)
    currencies = [row[3] for row in wallets_of_people(first)]
    states = [row[2] for row in first[Tables.transactions.name]]
    assert sorted(currencies) == ["NGN", "NGN", "NGN", "USD"]
    # The three opening balances and the holdings come on top of the history.
    succeeded = len(HISTORY) - 1 + 3 + len(HOLDINGS)
    assert (states.count("SUCCESS"), states.count("FAILED")) == (succeeded, 1)

    assert await run(settings) == 0

    assert "nothing was changed" in capsys.readouterr().out
    assert await read_all(settings) == first
    assert await broken_rules(settings) == []


async def test_what_is_printed_signs_in(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await run(settings) == 0
    found = re.search(r"^ *(curl .*)$", capsys.readouterr().out, re.MULTILINE)
    assert found is not None
    command, silent, url, *data = shlex.split(found[1])
    assert (command, silent, url) == ("curl", "-s", f"{SERVICE_URL}/token")
    assert data[0::2] == ["-d"] * 2

    async with serving(settings) as client:
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        response = await client.post("/token", content="&".join(data[1::2]), headers=form)
        assert response.status_code == 200, response.text
        headers = {"Authorization": f"Bearer {response.json()['access_token']}"}
        wallet = (await client.get("/wallet", headers=headers)).json()

    assert (wallet["full name"], wallet["balance"]) == ("Jane Doe", 271_499.5)


async def test_a_demo_that_was_interrupted_is_completed(
    settings: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(demo, "HISTORY", HISTORY[:4])
        assert await run(settings) == 0
    capsys.readouterr()

    assert await run(settings) == 0

    assert f"Made: {len(HISTORY) - 4} transactions." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("password", "currency", "why"),
    [
        ("another password", None, "signed up with another password"),
        (PASSWORD, "USD", "has a wallet in USD"),
    ],
)
async def test_a_person_of_another_kind_is_left_alone(
    settings: Settings,
    capsys: pytest.CaptureFixture[str],
    password: str,
    currency: str | None,
    why: str,
) -> None:
    await sign_up_jane(settings, password, currency)

    assert await run(settings) == 1

    assert why in capsys.readouterr().err
    rows = await read_all(settings)
    assert rows["transactions"] == set()


async def test_a_wallet_from_the_tour_becomes_part_of_the_demo(settings: Settings) -> None:
    await sign_up_jane(settings, PASSWORD, "NGN")

    assert await run(settings) == 0

    rows = await read_all(settings)
    assert len(wallets_of_people(rows)) == 4
    assert await broken_rules(settings) == []


async def sign_up_jane(settings: Settings, password: str, currency: str | None) -> None:
    async with serving(settings) as client:
        person = {"first_name": "Jane", "last_name": "Doe", "email": "Jane@example.com"}
        response = await client.post("/signup", json={**person, "password": password})
        assert response.status_code == 201, response.text
        if currency is not None:
            form = {"username": person["email"], "password": password}
            token = (await client.post("/token", data=form)).json()["access_token"]
            response = await client.post(
                "/wallet",
                json={"currency": currency},
                headers={"Authorization": f"Bearer {token}"},
            )
            assert response.status_code == 201, response.text


def test_production_gets_no_demo(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = settings_for(sqlite_url(tmp_path), environment="production")

    assert seed(settings) == 1

    assert "not in production" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


async def test_an_outdated_schema_is_said_with_its_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await run(settings_for(sqlite_url(tmp_path))) == 3

    captured = capsys.readouterr()
    assert captured.out == ""
    assert "./wallet migrate" in captured.err
