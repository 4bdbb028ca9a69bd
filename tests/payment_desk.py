"""A wallet's payments, with a local Paystack at hand, as tests bring them to their ends."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import select, update

from core.commands import StartPayment
from core.money import Money
from core.payment_commands import BankAccount, PaymentKind
from core.payment_rows import PaymentView, new_reference
from core.payments import Payments
from core.poster import Poster
from core.provider import Heard, Verdict
from core.records import PAYMENT_LEASE
from core.verification import verify_rules
from db.models import Tables
from db.session import Database
from devtools.paystack.app import LocalPaystack
from tests.attempts import attempt
from tests.paystack import Trouble
from tests.people import Person

BANK = BankAccount(bank_code="058", number="0123456789")
TEN = Money(1000, "NGN")


@dataclass
class Desk:
    """A wallet's payments, with the provider at hand."""

    database: Database
    poster: Poster
    payments: Payments
    provider: LocalPaystack
    trouble: Trouble
    # By how much the clock of payments is ahead.
    ahead: timedelta = timedelta(0)

    async def begin(
        self, person: Person, kind: PaymentKind, bank: BankAccount = BANK, money: Money = TEN
    ) -> str:
        """Begin a payment, as a request does before it asks the provider; return its reference."""
        reference = new_reference(kind)
        answer = await self.poster.post(
            attempt(
                StartPayment(
                    kind=kind,
                    user_id=person.id,
                    reference=reference,
                    money=money,
                    bank=bank if kind == "payout" else None,
                )
            )
        )
        assert answer.status == 200, answer.body
        return reference

    async def deposit(self, person: Person) -> str:
        """Begin a deposit and open its page."""
        reference = await self.begin(person, "deposit")
        await self.payments.open_checkout(reference, is_repeated=False)
        return reference

    async def pay_out(self, person: Person, bank: BankAccount = BANK) -> str:
        """Begin a payout and have it made."""
        reference = await self.begin(person, "payout", bank)
        await self.payments.send_payout(reference, is_repeated=False)
        return reference

    async def hear(self, reference: str, claim: Verdict, times: int = 1) -> None:
        """Hear of a payment, several times at once."""
        heard = Heard(reference=reference, claim=claim)
        await asyncio.gather(*(self.payments.hear(heard) for _ in range(times)))

    async def check(self, reference: str) -> PaymentView:
        """Do what the worker does when a payment is due."""
        id_, leased_until = await self.lend(reference)
        await self.payments.check(id_, leased_until=leased_until)
        return await self.view(reference)

    async def lend(self, reference: str) -> tuple[int, datetime]:
        """Lend a payment, as the relay does; return its id and until when it is lent."""
        id_ = (await self.view(reference)).id
        until = datetime.now(UTC) + self.ahead + PAYMENT_LEASE
        rows = Tables.provider_payments
        async with self.database.transaction() as session:
            connection = await session.connection()
            await connection.execute(update(rows).where(rows.c.id == id_).values(due_at=until))
        return id_, until

    async def view(self, reference: str) -> PaymentView:
        """Return how a payment stands."""
        return await self.payments.read(reference)

    async def states(self, reference: str) -> tuple[str, str | None, str | None]:
        """Return the state of a payment, why it failed, and what an operator has to look into."""
        view = await self.view(reference)
        return view.state, view.failure_code, view.attention

    async def in_transit(self) -> int:
        """Return what is in transit in NGN."""
        columns = Tables.wallets.c
        async with self.database.reading() as session:
            connection = await session.connection()
            rows = await connection.execute(
                select(columns.balance_minor).where(
                    columns.system_role == "in_transit", columns.currency == "NGN"
                )
            )
            return int(rows.scalar() or 0)

    async def prove(self) -> None:
        """Check the rules of money."""
        broken = [item.rule.name async for item in verify_rules(self.database) if not item.holds]
        assert broken == []
