"""The rules of payments catch those who break them: good payments, then one forgery at a time."""

import pytest
from sqlalchemy import insert

from core.payment_ends import key_of
from core.payment_rows import new_reference
from db.models import Tables
from tests.core.test_verification import Books, books, forger
from tests.forger import NOW, Forger, Forgery, Sides, deposit_sides

__all__ = ("books", "forger")

CLOSED = {"SUCCESS": "payout_settled", "FAILED": "payout_returned"}


class Till:
    """Writes payments as the ledger does, but for what a test changes."""

    def __init__(self, wallet: int, forger: Forger):
        self.wallet = wallet
        self.forger = forger
        self.transit = 0

    async def open(self) -> "Till":
        """Open the house's account of money in transit."""
        self.transit = await self.forger.open_wallet(None)
        await self.forger.execute(
            "UPDATE wallets SET system_role = 'in_transit' WHERE id = :id", id=self.transit
        )
        return self

    async def deposit(self, state: str = "SUCCESS", told: str | None = None) -> str:
        """Write a deposit that is `state`, and whose payment is told to be `told`."""
        sides = deposit_sides(self.wallet) if state == "SUCCESS" else ()
        first = await self.forger.move(Forgery(state=state, wallet=self.wallet, sides=sides))
        return await self.pay("deposit", first, told or state)

    async def payout(
        self, state: str = "PROCESSING", closing: str | None = None, *, is_keyed: bool = True
    ) -> None:
        """Write a payout that ended by a movement of the type `closing`."""
        first = await self.move("payout", self._sides(self.wallet, self.transit), self.transit)
        last = None
        type_ = closing or CLOSED.get(state)
        if type_ == "payout_settled":
            last = await self.move(type_, self._sides(self.transit, None), None, self.transit)
        elif type_ is not None:
            last = await self.move(type_, self._sides(self.transit, self.wallet), self.transit)
        await self.pay("payout", first, state, closing=last, is_keyed=is_keyed)

    async def move(
        self, type_: str, sides: Sides, counterparty: int | None, wallet: int | None = None
    ) -> int:
        """Write a movement; return its id."""
        own = self.wallet if wallet is None else wallet
        return await self.forger.move(
            Forgery(type=type_, wallet=own, counterparty=counterparty, sides=sides)
        )

    async def pay(
        self,
        kind: str,
        transaction_id: int,
        state: str,
        *,
        closing: int | None = None,
        amount: int = 100,
        is_keyed: bool = True,
    ) -> str:
        """Write the payment and, if it has ended, the key under which it did."""
        reference = new_reference("deposit")
        ended = state != "PROCESSING"
        row = {
            "reference": reference,
            "kind": kind,
            "transaction_id": transaction_id,
            "wallet_id": self.wallet,
            "amount_minor": amount,
            "currency": "NGN",
            "bank_code": "058" if kind == "payout" else None,
            "account_number": "0123456789" if kind == "payout" else None,
            "state": state,
            "failure_code": "forged" if state == "FAILED" else None,
            "closing_transaction_id": closing,
            "attempts": 0,
            "created_at": NOW,
            "due_at": NOW,
            "ended_at": NOW if ended else None,
        }
        await self.forger.connection.execute(insert(Tables.provider_payments), row)
        if ended and is_keyed:
            await self.key(reference, "end", None)
        return reference

    async def key(self, reference: str, what: str, transaction_id: int | None) -> None:
        """Write a key of the house's."""
        key = {
            "principal_id": 0,
            "key": key_of(reference, what),
            "fingerprint": b"f" * 32,
            "status": 200,
            "body": "{}",
            "transaction_id": transaction_id,
            "replays": 0,
            "created_at": NOW,
        }
        await self.forger.connection.execute(insert(Tables.idempotency_keys), key)

    @staticmethod
    def _sides(source: int | None, target: int | None) -> Sides:
        return (("DEBIT", source, "NGN"), ("CREDIT", target, "NGN"))


@pytest.fixture
async def till(books: Books, forger: Forger) -> Till:
    return await Till(books.jane, forger).open()


async def test_well_made_payments_break_nothing(till: Till) -> None:
    await till.deposit()
    await till.deposit("FAILED")
    await till.deposit("PROCESSING")
    await till.payout()
    await till.payout("SUCCESS")
    await till.payout("FAILED")

    assert await till.forger.broken() == set()


async def test_a_deposit_whose_payment_says_otherwise_is_found(till: Till) -> None:
    await till.deposit("PROCESSING", told="SUCCESS")

    assert await till.forger.broken() == {"payments_booked"}


async def test_a_payout_that_failed_and_was_sent_is_found(till: Till) -> None:
    await till.payout("FAILED", closing="payout_settled")

    assert await till.forger.broken() == {"payments_booked"}


async def test_a_payment_of_another_amount_is_found(till: Till) -> None:
    first = await till.forger.move(Forgery(state="PROCESSING", wallet=till.wallet))
    await till.pay("deposit", first, "PROCESSING", amount=99)

    assert await till.forger.broken() == {"payments_booked"}


async def test_an_end_without_its_key_is_found(till: Till) -> None:
    await till.payout("SUCCESS", is_keyed=False)

    assert await till.forger.broken() == {"payments_booked"}


async def test_what_waits_for_nobody_is_found(till: Till) -> None:
    await till.forger.move(Forgery(state="PROCESSING", wallet=till.wallet))

    assert await till.forger.broken() == {"movements_of_payments"}


async def test_money_that_stays_in_transit_is_found(till: Till) -> None:
    sides = (("DEBIT", till.wallet, "NGN"), ("CREDIT", till.transit, "NGN"))
    await till.move("payout", sides, till.transit)

    assert await till.forger.broken() == {"movements_of_payments", "in_transit"}


async def test_a_payment_that_ended_cannot_be_changed(till: Till, forger: Forger) -> None:
    await till.deposit()
    for change in ("state = 'FAILED', failure_code = 'x'", "amount_minor = 1", "reference = 'x'"):
        savepoint = await forger.connection.begin_nested()
        with pytest.raises(Exception, match="append-only"):
            await forger.execute(f"UPDATE provider_payments SET {change}")
        await savepoint.rollback()
    await forger.execute("UPDATE provider_payments SET attempts = 1")


@pytest.mark.parametrize(
    ("state", "amount_minor", "broken"),
    [
        ("FAILED", 100, set()),
        ("SUCCESS", 100, {"payments_credited"}),
        ("FAILED", 99, {"payments_credited"}),
    ],
)
async def test_what_was_credited_after_all_is_what_had_failed(
    till: Till, state: str, amount_minor: int, broken: set[str]
) -> None:
    reference = await till.deposit(state)
    forgery = Forgery(
        wallet=till.wallet,
        sides=deposit_sides(till.wallet),
        amount=amount_minor,
        entry_amount=amount_minor,
        keys=0,
    )
    await till.key(reference, "credit", await till.forger.move(forgery))
    assert await till.forger.broken() == broken
