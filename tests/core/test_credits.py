"""Accounts and credits in the ledger itself: who may hold what, who is made when, races."""

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from sqlalchemy import select

from core import ledger
from core.account_errors import AssetExists, AssetNotFound
from core.assets import Asset, AssetCatalogue, add_credit
from core.commands import (
    AccountNumber,
    Answer,
    CloseWallet,
    Command,
    CreditsOf,
    Move,
    OpenAccount,
    Primary,
    WalletId,
    deposit,
    move_credits,
    transfer,
    transfer_between,
)
from core.money import CURRENCY_EXPONENTS, MAX_MINOR, Money
from core.poster import Poster, PosterLimits
from db.models import Tables
from db.session import Database, DatabaseOptions
from tests.attempts import attempt
from tests.conftest import settings_for
from tests.people import People


@pytest.fixture
async def elsewhere(database_url: str) -> AsyncIterator[Database]:
    """The same database, opened by what might be another process."""
    opened = Database(DatabaseOptions(url=settings_for(database_url).database_url))
    yield opened
    await opened.close()


@pytest.fixture
async def gold(database: Database) -> Asset:
    return await AssetCatalogue(database).credit(1)


@pytest.fixture
async def poster(database: Database) -> AsyncIterator[Poster]:
    opened = Poster(database, PosterLimits())
    yield opened
    await opened.stop()


async def ask(database: Database, *commands: Command) -> list[str]:
    """Settle commands in one batch; return the code of each refusal, "" for what was done."""
    async with database.lean_transaction() as connection:
        answers = await ledger.post(connection, [attempt(command) for command in commands])
    return [
        "" if answer.status == 200 else answer.body
        for answer in answers
        if isinstance(answer, Answer)
    ]


def give(user: str, asset: Asset, minor: int) -> Move:
    return move_credits("top_up", external_user_id=user, asset=asset, minor=minor)


def spend(user: str, asset: Asset, minor: int) -> Move:
    return move_credits("spend", external_user_id=user, asset=asset, minor=minor)


def somebody() -> str:
    return f"user-{uuid4().hex}"


async def credits_of(database: Database, user: str, asset: Asset) -> int | None:
    wallets, holders = Tables.wallets.c, Tables.credit_holders.c
    async with database.reading() as session:
        connection = await session.connection()
        balance: int | None = await connection.scalar(
            select(wallets.balance_minor)
            .join_from(Tables.wallets, Tables.credit_holders, holders.id == wallets.holder_id)
            .where(holders.external_user_id == user, wallets.currency == asset.code)
        )
    return balance


async def test_all_currencies_and_three_credits_are_there(database: Database) -> None:
    catalogue = AssetCatalogue(database)
    credits_ = {asset.id: asset for asset in await catalogue.all_credits()}
    assert [(credits_[id_].code, credits_[id_].scale) for id_ in (1, 2, 3)] == [
        ("GOLD", 0),
        ("DMND", 0),
        ("PTS", 0),
    ]
    async with database.reading() as session:
        rows = await (await session.connection()).execute(
            select(Tables.assets).where(Tables.assets.c.kind == "currency")
        )
    # A code that a newer list of currencies brings needs a migration that adds it.
    assert {row.code: row.scale for row in rows} == CURRENCY_EXPONENTS


async def test_operators_add_credits_that_a_running_process_finds(database: Database) -> None:
    catalogue = AssetCatalogue(database)
    await catalogue.credit(1)
    code = "".join(chr(65 + int(digit, 16)) for digit in uuid4().hex[:8])

    added = await add_credit(database, code=code, name="Stars", scale=2)

    assert await catalogue.credit(added.id) == added
    assert 3 < added.id < 1001
    assert (added.parse("1.50").minor, added.to_wire(150)) == (150, 1.5)
    with pytest.raises(AssetExists):
        await add_credit(database, code=code, name="Again", scale=0)
    for wrong in ({"code": "gold"}, {"code": "X"}, {"name": ""}, {"scale": 9}):
        with pytest.raises(ValueError, match=r"\."):
            await add_credit(database, **({"code": "OTHER", "name": "N", "scale": 0} | wrong))  # type: ignore[arg-type]  # wrong on purpose
    for missing in (999, 1001):
        with pytest.raises(AssetNotFound):
            await catalogue.credit(missing)


async def test_credits_are_given_and_taken_back(database: Database, gold: Asset) -> None:
    user = somebody()
    assert await ask(database, spend(user, gold, 1)) == ["user_not_found"]
    assert await credits_of(database, user, gold) is None

    done = await ask(database, give(user, gold, 100), give(user, gold, 50), spend(user, gold, 120))

    assert done == ["", "", ""]
    assert await ask(database, spend(user, gold, 31), spend(user, gold, 30)) == [
        "insufficient_funds",
        "",
    ]
    assert await credits_of(database, user, gold) == 0


async def test_who_is_known_but_never_had_any_has_too_little(
    database: Database, gold: Asset
) -> None:
    user, points = somebody(), await AssetCatalogue(database).credit(3)
    await ask(database, give(user, gold, 1))

    assert await ask(database, spend(user, points, 1)) == ["insufficient_funds"]
    assert await credits_of(database, user, points) is None


async def test_a_ceiling_holds_for_credits_and_not_for_the_treasury(
    database: Database, gold: Asset
) -> None:
    first, second = somebody(), somebody()

    assert await ask(
        database, give(first, gold, MAX_MINOR), give(first, gold, 1), give(second, gold, MAX_MINOR)
    ) == ["", "balance_limit_exceeded", ""]


@pytest.mark.promise("S4-stay")
async def test_credits_reach_nobody_else(people: People, database: Database, gold: Asset) -> None:
    jane, user, other = await people.with_wallet(100), somebody(), somebody()
    await ask(database, give(user, gold, 10), give(other, gold, 10))
    ten = Money(10, gold.code)
    mine, theirs = CreditsOf(user, gold), CreditsOf(other, gold)
    wallets = Tables.wallets.c
    async with database.reading() as session:
        rows = await (await session.connection()).execute(
            select(wallets.id, wallets.wallet_number).where(wallets.user_id.is_(None))
        )
        not_of_people = rows.all()

    assert await ask(
        database,
        Move("transfer", mine, theirs, ten),
        Move("withdrawal", mine, None, ten),
        Move("deposit", mine, None, ten),
        Move("transfer", mine, WalletId(jane.wallet_id), ten),
        Move("transfer", mine, WalletId(jane.wallet_id), Money(10, "NGN")),
    ) == [
        "asset_not_transferable",
        "asset_not_withdrawable",
        "asset_not_withdrawable",
        "asset_not_transferable",
        "currency_mismatch",
    ]
    for row in not_of_people:
        for money in (ten, Money(10, "NGN")):
            named = AccountNumber(row.wallet_number)
            assert await ask(
                database,
                transfer(user_id=jane.id, to_wallet_id=row.id, money=money),
                Move("transfer", Primary(jane.id), named, money),
                Move("transfer", AccountNumber(row.wallet_number, jane.id), named, money),
            ) == ["recipient_not_found", "recipient_not_found", "account_not_found"]
    assert await credits_of(database, user, gold) == 10


async def test_two_at_once_make_one_holder(
    database: Database, elsewhere: Database, gold: Asset
) -> None:
    user = somebody()
    posters = [Poster(one, PosterLimits(batch=1)) for one in (database, elsewhere)]

    answers = await asyncio.gather(
        *[poster.post(attempt(give(user, gold, 10))) for poster in posters for _ in range(10)]
    )

    assert {answer.status for answer in answers} == {200}
    assert await credits_of(database, user, gold) == 200
    for poster in posters:
        await poster.stop()


async def numbers_of(database: Database, user_id: int) -> list[str]:
    wallets = Tables.wallets.c
    async with database.reading() as session:
        rows = await (await session.connection()).execute(
            select(wallets.wallet_number)
            .where(wallets.user_id == user_id, wallets.closed_at.is_(None))
            .order_by(wallets.id)
        )
    return list(rows.scalars())


async def test_accounts_of_a_person(people: People, database: Database) -> None:
    jane, john = await people.with_wallet(100), await people.with_wallet()
    opening = OpenAccount(user_id=jane.id, currency="NGN", name="Savings")
    assert await ask(database, opening, opening) == ["", ""]
    primary, savings, third = await numbers_of(database, jane.id)
    [johns] = await numbers_of(database, john.id)

    def move(source: str, target: str, minor: int, user_id: int = jane.id) -> Move:
        money = Money(minor, "NGN")
        return transfer_between(
            user_id=user_id, from_number=source, to_number=target, money=money, description="rent"
        )

    assert await ask(
        database,
        move(primary, savings, 6000),
        move(savings, johns, 2000),
        move(savings, savings, 1),
        move(savings, johns, 4001),
        move(savings, primary, 1, john.id),
        CloseWallet(wallet=AccountNumber(savings, jane.id)),
        CloseWallet(wallet=AccountNumber(third, john.id)),
        CloseWallet(wallet=AccountNumber(third, jane.id)),
        move(savings, third, 1),
    ) == [
        "",
        "",
        "self_transfer",
        "insufficient_funds",
        "account_not_found",
        "wallet_not_empty",
        "account_not_found",
        "",
        "recipient_not_found",
    ]
    assert (await jane.balance(), await john.balance()) == (40, 20)


async def test_moving_between_ones_own_accounts_promises_one_receipt(
    people: People, database: Database
) -> None:
    jane = await people.with_wallet(100)
    await ask(database, OpenAccount(user_id=jane.id, currency="NGN"))
    primary, other = await numbers_of(database, jane.id)
    outbox, transactions = Tables.outbox.c, Tables.transactions.c

    money = Money(1, "NGN")
    moving = transfer_between(user_id=jane.id, from_number=primary, to_number=other, money=money)
    assert await ask(database, moving) == [""]

    async with database.reading() as session:
        found = await (await session.connection()).execute(
            select(outbox.user_id)
            .join_from(Tables.outbox, Tables.transactions, transactions.id == outbox.transaction_id)
            .where(outbox.user_id == jane.id, transactions.type == "transfer")
        )
    assert list(found.scalars()) == [jane.id]


async def test_nobody_has_more_than_a_hundred_open_accounts(
    people: People, database: Database, elsewhere: Database
) -> None:
    jane = await people.with_wallet()
    opening = OpenAccount(user_id=jane.id, currency="USD")
    assert await ask(database, *[opening] * 97) == [""] * 97
    posters = [Poster(one, PosterLimits(batch=1)) for one in (database, elsewhere)]

    answers = await asyncio.gather(
        *[poster.post(attempt(opening)) for poster in posters for _ in range(5)]
    )

    assert (
        sorted(answer.body for answer in answers if answer.status != 200)
        == ["too_many_accounts"] * 8
    )
    assert len(await numbers_of(database, jane.id)) == 100
    for poster in posters:
        await poster.stop()


async def test_the_hundredth_account_waits_for_a_rival(
    people: People, database: Database, elsewhere: Database
) -> None:
    jane = await people.with_wallet()
    opening = OpenAccount(user_id=jane.id, currency="USD")
    await ask(database, *[opening] * 98)

    async with database.lean_transaction() as connection:
        await ledger.post(connection, [attempt(opening)])
        second = asyncio.create_task(ask(elsewhere, opening))
        # Long enough for whoever does not wait to have counted.
        await asyncio.sleep(0.3)

    assert await second == ["too_many_accounts"]


async def test_time_never_goes_back_for_a_wallet(people: People, database: Database) -> None:
    jane = await people.with_wallet(100)
    wallets, entries = Tables.wallets, Tables.entries.c
    async with database.transaction() as session:
        connection = await session.connection()
        found = await connection.execute(
            select(wallets.c.updated_at).where(wallets.c.id == jane.wallet_id)
        )
        # What another process with a fast clock may have written.
        ahead = found.scalar_one().replace(year=2100)
        await connection.execute(
            wallets.update().where(wallets.c.id == jane.wallet_id).values(updated_at=ahead)
        )

    await ask(database, deposit(user_id=jane.id, money=Money(1, "NGN")))

    async with database.reading() as session:
        rows = await (await session.connection()).execute(
            select(entries.created_at)
            .where(entries.wallet_id == jane.wallet_id)
            .order_by(entries.id.desc())
        )
    assert rows.scalars().first() == ahead
