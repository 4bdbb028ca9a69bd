"""A frozen wallet: no money moves in or out, each attempt is recorded, and it can be ended."""

import asyncio
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import select

from core import wallets
from core.wallet_numbers import make_wallet_number
from db.models import Tables
from db.session import Database
from operations.freeze import freeze, unfreeze
from tests.conftest import settings_for, sqlite_url
from tests.people import People, Person


async def number_of(person: Person) -> str:
    return str((await person.get("/wallet")).json()["wallet_number"])


async def set_frozen(database_url: str, person: Person, *, frozen: bool) -> int:
    # In a thread: the command runs an event loop of its own.
    command = freeze if frozen else unfreeze
    return await asyncio.to_thread(command, settings_for(database_url), await number_of(person))


async def failures_of(database: Database, wallet_id: int) -> list[tuple[str, str, str | None]]:
    transactions = Tables.transactions.c
    async with database.reading() as session:
        rows = await (await session.connection()).execute(
            select(transactions.type, transactions.state, transactions.failure_code)
            .where(transactions.wallet_id == wallet_id, transactions.state == "FAILED")
            .order_by(transactions.id)
        )
        return [(row.type, row.state, row.failure_code) for row in rows]


def assert_frozen(response: httpx.Response) -> None:
    assert (response.status_code, response.json()["code"]) == (409, "wallet_frozen")


@pytest.mark.promise("refusals", "S2-3")
async def test_nothing_moves_in_or_out_of_a_frozen_wallet(
    people: People, database: Database, database_url: str
) -> None:
    frozen, other = await people.with_wallet(100), await people.with_wallet(100)
    assert await set_frozen(database_url, frozen, frozen=True) == 0

    assert_frozen(await frozen.deposit(10))
    assert_frozen(await frozen.withdraw(10))
    assert_frozen(await frozen.transfer(other.wallet_id, 10))
    assert_frozen(await other.transfer(frozen.wallet_id, 10))

    assert (await frozen.balance(), await other.balance()) == (100, 100)
    failed = ("FAILED", "wallet_frozen")
    assert await failures_of(database, frozen.wallet_id) == [
        ("deposit", *failed),
        ("withdrawal", *failed),
        ("transfer", *failed),
    ]
    assert await failures_of(database, other.wallet_id) == [("transfer", *failed)]
    states = [(item["type"], item["state"]) for item in await frozen.history()]
    # Somebody else's failed attempt to pay in is not this person's history.
    assert states == [
        ("transfer", "FAILED"),
        ("withdrawal", "FAILED"),
        ("deposit", "FAILED"),
        ("deposit", "SUCCESS"),
    ]


@pytest.mark.promise("refusals")
async def test_a_frozen_wallet_cannot_be_closed(people: People, database_url: str) -> None:
    person = await people.with_wallet(0)
    await set_frozen(database_url, person, frozen=True)

    assert_frozen(await person.send("DELETE", "/wallet"))


async def test_a_refusal_stays_refused_after_the_thaw_but_a_new_attempt_succeeds(
    people: People, database_url: str
) -> None:
    person, key = await people.with_wallet(100), str(uuid4())
    await set_frozen(database_url, person, frozen=True)
    assert_frozen(await person.withdraw(10, key=key))
    assert await set_frozen(database_url, person, frozen=False) == 0

    assert_frozen(await person.withdraw(10, key=key))
    assert (await person.withdraw(10)).status_code == 200
    assert await person.balance() == 90


async def test_the_operator_reads_what_was_done(
    people: People, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    person = await people.with_wallet(0)
    number = await number_of(person)
    capsys.readouterr()

    await set_frozen(database_url, person, frozen=True)
    assert f"Wallet {number} is frozen" in capsys.readouterr().out
    await set_frozen(database_url, person, frozen=False)
    assert f"Wallet {number} is not frozen" in capsys.readouterr().out


async def test_a_number_that_no_open_wallet_has_is_one_sentence(
    people: People, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    closed = await people.with_wallet(0)
    number = await number_of(closed)
    assert (await closed.send("DELETE", "/wallet")).status_code == 200
    capsys.readouterr()

    for unknown in (number, make_wallet_number(), "'; --"):
        code = await asyncio.to_thread(freeze, settings_for(database_url), unknown)
        assert code == 1
        assert capsys.readouterr().err == "There is no open wallet with this number.\n"


async def test_a_database_without_a_schema_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = settings_for(sqlite_url(tmp_path))

    assert await asyncio.to_thread(freeze, settings, make_wallet_number()) == 3
    assert "./wallet migrate" in capsys.readouterr().err


async def test_freezing_by_a_clock_that_is_behind_does_not_turn_the_wallets_time_back(
    people: People, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ledger goes by this time: the balance at a time needs that it never goes back."""
    person = await people.with_wallet(100)
    number = await number_of(person)
    times = Tables.wallets.c.updated_at, Tables.wallets.c.frozen_at
    behind = datetime(2020, 1, 1, tzinfo=UTC)

    class Behind:
        @staticmethod
        def now(zone: tzinfo) -> datetime:
            return behind.astimezone(zone)

    monkeypatch.setattr(wallets, "datetime", Behind)
    async with database.transaction() as session:
        connection = await session.connection()
        of_wallet = select(*times).where(Tables.wallets.c.wallet_number == number)
        before = (await connection.execute(of_wallet)).one()
        await wallets.set_frozen(session, number, frozen=True)
        after = (await connection.execute(of_wallet)).one()

    assert before.updated_at > behind
    assert (after.updated_at, after.frozen_at) == (before.updated_at, behind)
