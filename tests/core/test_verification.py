"""Each rule of money catches those who break it: good books, then one forgery at a time.

The forgeries are made in a transaction that is rolled back, on a database of their own.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from sqlalchemy import text

from core.verification import OFFENCES_LIMIT, RULES, verify_rules
from db.session import Database, DatabaseOptions
from tests.conftest import create_postgres_database, migrate, serving, settings_for, sqlite_url
from tests.forger import NOBODY, NOW, Forger, Forgery, deposit_sides, withdrawal_sides
from tests.people import People


@dataclass(frozen=True)
class Books:
    """Good books: Jane and John have NGN wallets with some history, Ada closed hers."""

    database: Database
    jane: int
    john: int
    janes_user_id: int


@pytest.fixture(scope="module")
async def books(
    engine_name: str, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> AsyncIterator[Books]:
    if engine_name == "sqlite":
        url = sqlite_url(tmp_path_factory.mktemp("verification"))
    else:
        url = await create_postgres_database(request.getfixturevalue("postgres_url"))
    await migrate(url)
    settings = settings_for(url, redis_url=request.getfixturevalue("redis_url"))
    async with serving(settings) as client:
        people = People(client)
        jane, john = await people.with_wallet(1000), await people.with_wallet(500)
        ada, grace = await people.with_wallet(0), await people.with_wallet(20.5, "USD")
        assert (await jane.transfer(john.wallet_id, 100)).status_code == 200
        assert (await jane.deposit(50)).status_code == 200
        assert (await john.withdraw(25)).status_code == 200
        assert (await john.withdraw(10_000)).status_code == 402
        assert (await grace.withdraw(20.5, "USD")).status_code == 200
        assert (await ada.send("DELETE", "/wallet")).status_code == 200
    database = Database(DatabaseOptions(url=settings.database_url))
    yield Books(database, jane.wallet_id, john.wallet_id, jane.id)
    await database.close()


@pytest.fixture
async def forger(books: Books) -> AsyncIterator[Forger]:
    async with books.database.engine.connect() as connection:
        transaction = await connection.begin()
        yield Forger(connection, books.janes_user_id)
        await transaction.rollback()
        if connection.dialect.name == "sqlite":
            # Unlike the rest this belongs to the connection, not to the transaction.
            await connection.execute(text("PRAGMA ignore_check_constraints = OFF"))


async def test_what_the_ledger_wrote_keeps_every_rule(books: Books) -> None:
    results = [result async for result in verify_rules(books.database)]

    assert [result.rule.name for result in results if not result.holds] == []
    assert len({result.rule.name for result in results}) == 18


async def test_a_well_made_forgery_breaks_nothing(books: Books, forger: Forger) -> None:
    """The other tests' forgeries fail for what they change and nothing else."""
    jane, john = books.jane, books.john
    await forger.move(Forgery(wallet=jane, sides=deposit_sides(jane)))
    await forger.move(Forgery(type="withdrawal", wallet=jane, sides=withdrawal_sides(jane)))
    sides = (("DEBIT", jane, "NGN"), ("CREDIT", john, "NGN"))
    await forger.move(Forgery(type="transfer", wallet=jane, counterparty=john, sides=sides))
    await forger.move(Forgery(wallet=jane, state="FAILED", keys=0))

    assert await forger.broken() == set()


async def test_a_success_without_entries_is_found(books: Books, forger: Forger) -> None:
    await forger.move(Forgery(wallet=books.jane))

    assert await forger.broken() == {"paired"}


async def test_a_failure_that_moved_money_is_found(books: Books, forger: Forger) -> None:
    jane = books.jane
    await forger.move(Forgery(state="FAILED", wallet=jane, sides=deposit_sides(jane)))

    assert await forger.broken() == {"paired"}


async def test_entries_of_another_amount_are_found(books: Books, forger: Forger) -> None:
    jane = books.jane
    await forger.drop_reference("entries", "fk_entries_transaction")
    await forger.move(Forgery(wallet=jane, entry_amount=70, sides=deposit_sides(jane)))

    assert await forger.broken() == {"paired"}


async def test_entries_without_a_transaction_are_found(books: Books, forger: Forger) -> None:
    await forger.drop_reference("entries", "fk_entries_transaction")
    for entry_type, wallet_id, currency in deposit_sides(books.jane):
        await forger.enter(NOBODY, entry_type, wallet_id, currency, 100)

    assert await forger.broken() == {"paired"}


# A currency whose sum is not zero has an unpaired entry, so these break two rules.
async def test_money_from_nowhere_is_found(books: Books, forger: Forger) -> None:
    jane = books.jane
    await forger.move(Forgery(wallet=jane, sides=deposit_sides(jane)[1:]))

    assert await forger.broken() == {"paired", "sum_is_zero"}


async def test_entries_of_two_currencies_are_found(books: Books, forger: Forger) -> None:
    jane = books.jane
    await forger.drop_reference("entries", "fk_entries_transaction")
    sides = (("DEBIT", None, "USD"), ("CREDIT", jane, "NGN"))
    await forger.move(Forgery(wallet=jane, sides=sides))

    assert await forger.broken() == {"paired", "sum_is_zero"}


async def test_entries_on_another_wallet_are_found(
    books: Books,
    forger: Forger,
) -> None:
    await forger.move(Forgery(wallet=books.jane, sides=deposit_sides(books.john)))

    assert await forger.broken() == {"on_named_wallets"}


async def test_a_withdrawal_that_adds_is_found(books: Books, forger: Forger) -> None:
    jane = books.jane
    await forger.move(Forgery(type="withdrawal", wallet=jane, sides=deposit_sides(jane)))

    assert await forger.broken() == {"on_named_wallets"}


@pytest.mark.parametrize("change", ["balance_minor = balance_minor + 1", "currency = 'USD'"])
async def test_an_unexplained_wallet_is_found(books: Books, forger: Forger, change: str) -> None:
    await forger.execute(f"UPDATE wallets SET {change} WHERE id = :id", id=books.jane)

    assert await forger.broken() == {"balance_is_sum"}
    (result,) = [result for result in await forger.results() if not result.holds]
    assert [row["wallet_id"] for row in result.offences] == [books.jane]


async def test_entries_without_a_wallet_are_found(books: Books, forger: Forger) -> None:
    wallet_id = await forger.open_wallet(None)
    await forger.move(Forgery(wallet=wallet_id, sides=deposit_sides(wallet_id)))
    await forger.drop_reference("entries", "fk_entries_wallet_id_wallets")
    await forger.drop_reference("transactions", "fk_transactions_wallet_id_wallets")
    await forger.past_the_guard(
        "wallets_refuse_delete", "wallets", "DELETE FROM wallets WHERE id = :id", id=wallet_id
    )

    assert await forger.broken() == {"balance_is_sum"}


async def test_a_snapshot_that_does_not_follow_is_found(
    books: Books,
    forger: Forger,
) -> None:
    await forger.past_the_guard(
        "entries_refuse_update",
        "entries",
        "UPDATE entries SET balance_snapshot_minor = balance_snapshot_minor + 1 "
        "WHERE id = (SELECT MIN(id) FROM entries WHERE wallet_id = :id)",
        id=books.jane,
    )

    assert await forger.broken() == {"snapshots_follow"}


@pytest.mark.parametrize("is_mended_later", [False, True])
async def test_a_balance_below_zero_is_found(
    books: Books, forger: Forger, is_mended_later: bool
) -> None:
    jane, overdraft = books.jane, 10_000_000
    await forger.drop_check("wallets", "balance_not_negative")
    movements = [("withdrawal", withdrawal_sides(jane)), ("deposit", deposit_sides(jane))]
    for kind, sides in movements if is_mended_later else movements[:1]:
        await forger.move(
            Forgery(type=kind, wallet=jane, amount=overdraft, entry_amount=overdraft, sides=sides)
        )

    assert await forger.broken() == {"not_negative"}


async def test_an_account_of_the_house_may_be_below_zero(books: Books, forger: Forger) -> None:
    treasury = await forger.open_wallet(None, may_go_negative=True)
    await forger.move(Forgery(type="withdrawal", wallet=treasury, sides=withdrawal_sides(treasury)))

    assert await forger.broken() == set()


async def test_every_missing_guard_is_found(books: Books, forger: Forger) -> None:
    triggers = await forger.triggers()
    assert len(triggers) == 21
    for number, (trigger, table) in enumerate(triggers, start=1):
        await forger.drop_trigger(trigger, table)

        assert await forger.broken() == {"append_only"}
        (result,) = [result for result in await forger.results() if not result.holds]
        assert len(result.offences) == min(number, OFFENCES_LIMIT)


async def test_a_guard_that_refuses_nothing_is_found(forger: Forger) -> None:
    hollow = ["ALTER TABLE entries DISABLE TRIGGER entries_refuse_update"]
    hollow += [
        "CREATE OR REPLACE FUNCTION wallet_refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RETURN NEW; END $$"
    ]
    if forger.is_sqlite:
        await forger.drop_trigger("entries_refuse_update", "entries")
        hollow = [
            "CREATE TRIGGER entries_refuse_update BEFORE UPDATE ON entries BEGIN SELECT 1; END"
        ]
    for statement in hollow:
        async with forger.connection.begin_nested() as savepoint:
            await forger.execute(statement)
            assert await forger.broken() == {"append_only"}
            await savepoint.rollback()


@pytest.mark.parametrize("keys", [0, 2])
async def test_a_movement_without_one_key_is_found(books: Books, forger: Forger, keys: int) -> None:
    jane = books.jane
    await forger.move(Forgery(wallet=jane, sides=deposit_sides(jane), keys=keys))

    assert await forger.broken() == {"one_key"}


async def test_a_movement_that_nobody_will_hear_of_is_found(books: Books, forger: Forger) -> None:
    jane = books.jane
    await forger.move(Forgery(wallet=jane, sides=deposit_sides(jane), has_receipts=False))

    assert await forger.broken() == {"receipts_promised"}


async def test_a_receipt_of_nothing_is_found(books: Books, forger: Forger) -> None:
    await forger.execute(
        "INSERT INTO outbox (transaction_id, user_id, created_at, due_at, attempts) "
        "VALUES (999999999, :user_id, :now, :now, 0)",
        user_id=books.janes_user_id,
        now=NOW,
    )

    assert await forger.broken() == {"receipts_promised"}


async def test_a_closed_wallet_with_money_is_found(books: Books, forger: Forger) -> None:
    await forger.drop_check("wallets", "closed_empty")
    await forger.execute(
        "UPDATE wallets SET closed_at = :now WHERE id = :id", now=NOW, id=books.jane
    )

    assert await forger.broken() == {"closed_empty"}


async def test_a_wallet_of_nobody_is_found(books: Books, forger: Forger) -> None:
    await forger.drop_reference("wallets", "fk_wallets_user_id_users")
    await forger.open_wallet(NOBODY)

    assert await forger.broken() == {"owned"}


async def test_a_person_who_may_overdraw_is_found(books: Books, forger: Forger) -> None:
    await forger.open_wallet(books.janes_user_id, may_go_negative=True)

    assert await forger.broken() == {"owned"}


async def test_a_wallet_of_two_owners_is_found(books: Books, forger: Forger) -> None:
    await forger.drop_check("wallets", "one_owner")
    await forger.execute(
        "UPDATE wallets SET system_role = 'treasury' WHERE id = :id", id=books.jane
    )

    assert await forger.broken() == {"owned"}


@pytest.mark.parametrize("change", ["transaction_id = 999999999", "principal_id = 999999999"])
async def test_a_key_of_nothing_or_nobody_is_found(
    books: Books, forger: Forger, change: str
) -> None:
    await forger.move(Forgery(wallet=books.jane, state="FAILED"))
    await forger.past_the_guard(
        "idempotency_keys_refuse_update",
        "idempotency_keys",
        f"UPDATE idempotency_keys SET {change} WHERE transaction_id ="
        " (SELECT MAX(id) FROM transactions WHERE wallet_id = :id)",
        id=books.jane,
    )

    assert await forger.broken() == {"keys_refer"}


async def test_credits_that_nobody_owes_are_found(books: Books, forger: Forger) -> None:
    holder = await forger.hold_credits(books.jane, "GOLD")
    assert await forger.broken() == set()

    await forger.execute("UPDATE wallets SET balance_minor = 5 WHERE id = :id", id=holder)

    assert await forger.broken() == {"credits_backed", "balance_is_sum"}


async def test_credits_of_a_person_are_found(books: Books, forger: Forger) -> None:
    await forger.execute(
        "UPDATE wallets SET currency = 'GOLD' WHERE id = :id",
        id=await forger.open_wallet(books.janes_user_id),
    )

    assert await forger.broken() == {"credits_backed"}


@pytest.mark.parametrize("kind", ["transfer", "deposit", "top_up"])
async def test_a_movement_that_the_asset_forbids_is_found(
    books: Books, forger: Forger, kind: str
) -> None:
    jane, john = books.jane, books.john
    sides = (("DEBIT", jane, "NGN"), ("CREDIT", john, "NGN"))
    other: int | None = john
    if kind == "top_up":
        sides = (("DEBIT", john, "NGN"), ("CREDIT", jane, "NGN"))
    if kind == "deposit":
        other, sides = None, deposit_sides(jane)  # type: ignore[assignment]  # other sides
    await forger.move(Forgery(type=kind, wallet=jane, counterparty=other, sides=sides))
    if kind != "top_up":
        await forger.past_the_guard(
            "assets_refuse_update",
            "assets",
            "UPDATE assets SET transferable = FALSE, withdrawable = FALSE WHERE code = 'NGN'",
        )

    assert await forger.broken() == {"assets_allow"}


async def test_no_more_rows_are_shown_than_a_person_reads(books: Books, forger: Forger) -> None:
    for _ in range(OFFENCES_LIMIT + 5):
        await forger.move(Forgery(wallet=books.jane))

    (result,) = [result for result in await forger.results() if not result.holds]

    assert len(result.offences) == OFFENCES_LIMIT
    assert result.has_more


async def test_proofs_pair_no_table_with_another_row_by_row(books: Books) -> None:
    """As PostgreSQL would, of a ledger too young to have statistics; then they take hours."""
    if books.database.dialect_name == "sqlite":
        pytest.skip("SQLite plans by its indexes")
    async with books.database.snapshot() as session:
        for rule in RULES:
            connection = await session.connection()
            plan = await connection.execute(text(f"EXPLAIN {rule.query}"), {"limit": 1})
            paired = [line for (line,) in plan if "Nested Loop" in line]
            assert paired == [], rule.name


async def test_all_rules_see_the_same_moment(books: Books) -> None:
    async def change(minor: int) -> None:
        async with books.database.engine.begin() as connection:
            await connection.execute(
                text("UPDATE wallets SET balance_minor = balance_minor + :minor WHERE id = :id"),
                {"minor": minor, "id": books.jane},
            )

    broken = []
    async for result in verify_rules(books.database):
        if result.rule.name == "paired":
            await change(+1)
        broken += [] if result.holds else [result.rule.name]
    try:
        assert broken == []
        later = [result async for result in verify_rules(books.database)]
        assert [r.rule.name for r in later if not r.holds] == ["balance_is_sum"]
    finally:
        await change(-1)
