"""`wallet verify`, as an operator and a script see it: what it prints and how it exits."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import text

from config import Settings
from core.verification import RULES
from db.session import Database, DatabaseOptions
from operations.listening import free_port
from operations.seed import seed
from operations.verify import verify
from tests.conftest import create_postgres_database, migrate, settings_for, sqlite_url

COUNT = len(RULES)


@pytest.fixture(scope="module")
async def settings(
    engine_name: str, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Settings:
    """Settings of a database of its own, with the demo in it."""
    if engine_name == "sqlite":
        url = sqlite_url(tmp_path_factory.mktemp("verify"))
    else:
        url = await create_postgres_database(request.getfixturevalue("postgres_url"))
    await migrate(url)
    settings = settings_for(url)
    assert await asyncio.to_thread(seed, settings) == 0
    return settings


@pytest.fixture(autouse=True)
def no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever these tests run in, the command shall not take it for a terminal."""
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "100")


@pytest.fixture
async def forged_balance(settings: Settings) -> AsyncIterator[int]:
    """The id of a wallet that holds a cent too much for as long as the test takes."""
    database = Database(DatabaseOptions(url=settings.database_url))
    change = text("UPDATE wallets SET balance_minor = balance_minor + :minor WHERE id = :id")
    async with database.engine.begin() as connection:
        wallet_id = (await connection.execute(text("SELECT MIN(id) FROM wallets"))).scalar_one()
        await connection.execute(change, {"minor": 1, "id": wallet_id})
    yield int(wallet_id)
    async with database.engine.begin() as connection:
        await connection.execute(change, {"minor": -1, "id": wallet_id})
    await database.close()


async def run(settings: Settings) -> int:
    # In a thread: the command runs an event loop of its own.
    return await asyncio.to_thread(verify, settings)


async def test_clean_books(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert await run(settings) == 0

    out = capsys.readouterr().out
    assert f"{COUNT}/{COUNT} {RULES[-1].name}: checked" in out
    assert out.count("│ holds") == COUNT
    assert out.endswith(f"All {COUNT} rules hold.\n")


async def test_a_broken_rule(
    settings: Settings, forged_balance: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await run(settings) == 1

    out = capsys.readouterr().out
    assert out.count("BROKEN: 1") == 1
    assert f"\n  wallet_id={forged_balance}, balance_minor=" in out
    assert out.endswith(f"1 of {COUNT} rules are broken.\n")


async def test_a_terminal_sees_a_progress_bar(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")

    assert await run(settings) == 0

    out = capsys.readouterr().out
    assert "━" in out
    assert "checked" not in out
    assert f"{COUNT}/{COUNT}" in out


async def test_an_outdated_schema(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert await run(settings_for(sqlite_url(tmp_path))) == 3

    captured = capsys.readouterr()
    assert captured.out == ""
    assert "./wallet migrate" in captured.err
    assert captured.err.count("\n") == 1


@pytest.mark.parametrize(
    "url", ["postgresql://wallet:hunter2@127.0.0.1:{port}/wallet", "sqlite:////missing/wallet.db"]
)
async def test_no_database(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert await run(settings_for(url.format(port=free_port()))) == 3

    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("The database cannot be reached; check DATABASE_URL")
    assert captured.err.count("\n") == 1
    assert "hunter2" not in captured.err


async def test_a_database_that_does_not_exist(
    postgres_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await run(settings_for(f"{postgres_url}_of_nobody")) == 3

    captured = capsys.readouterr()
    assert captured.err.startswith("The database cannot be reached; check DATABASE_URL")
    assert captured.err.count("\n") == 1
