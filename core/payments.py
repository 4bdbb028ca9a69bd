"""Payments by a provider: what the wallet asks it, and what it believes.

The provider is never asked within a transaction. What it says by itself is not believed: it is
asked how the payment stands. What follows for money is in `core.payment_ends`.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from core import payment_rows
from core.errors import IdempotencyInFlight, Unavailable
from core.payment_commands import BankAccount, PaymentKind
from core.payment_ends import PaymentEnds
from core.payment_errors import (
    BankAccountNotFound,
    CurrencyNotSupported,
    PaymentNotFound,
    PaymentRefused,
    ProviderUnavailable,
)
from core.payment_rows import PaymentView
from core.poster import Poster
from core.provider import (
    Bank,
    Checkout,
    Heard,
    PaymentProvider,
    ProviderRefused,
    ReferenceKnown,
    Report,
)
from db.session import Database

log = structlog.get_logger(__name__)

# How long a deposit that nobody paid, or a payout that the provider never saw, may stay so.
LIFETIME: Final = timedelta(days=1)
# How long whoever began a deposit may try again to reach the provider under the same key.
START_PATIENCE: Final = timedelta(minutes=10)
# How long the provider may not find what it took: until then a payout that it may have taken is not
# given back only because it does not know it.
MISS_PATIENCE: Final = timedelta(minutes=10)
# What is kept as the provider's word for a payout that it has and does not find.
KNOWN: Final = "known"
# A person whose card was declined may pay by another one on the same page.
DECLINED_PATIENCE: Final = timedelta(hours=1)


class Payments:
    """Brings payments from their beginning to their end."""

    def __init__(self, database: Database, poster: Poster, provider: PaymentProvider):
        self._database = database
        self._provider = provider
        self._ends = PaymentEnds(database, poster)

    async def open_checkout(self, reference: str, *, is_repeated: bool) -> Checkout:
        """Return where a person pays for a deposit that was begun.

        Raises PaymentRefused, which ends the deposit; ProviderUnavailable, after which the same
        may be tried again; IdempotencyInFlight while somebody else is trying.
        """
        view = await self.read(reference)
        if view.checkout is not None:
            return view.checkout
        if view.state != "PROCESSING":
            raise PaymentRefused
        if is_repeated and not await self._borrow(view):
            raise IdempotencyInFlight
        try:
            checkout = await self._provider.open_checkout(
                reference=reference, money=view.payment.money, email=view.email
            )
        except ProviderRefused as error:
            # A reference that it knows already is one whose page nobody was ever told.
            log.warning("deposit_refused", reference=reference, code=error.code)
            await self._ends.end(view, "provider_refused")
            raise PaymentRefused from None
        except ProviderUnavailable:
            async with self._database.transaction() as session:
                await payment_rows.give_back(session, view, now=datetime.now(UTC))
            raise
        async with self._database.transaction() as session:
            await payment_rows.note_checkout(session, view, checkout, now=datetime.now(UTC))
        return checkout

    async def send_payout(self, reference: str, *, is_repeated: bool) -> PaymentView:
        """Have a payout made that was begun, unless that was done, and return how it stands.

        Never raises because of the provider: the worker goes on with what it did not take.
        """
        view = await self.read(reference)
        if view.state == "PROCESSING" and view.asked_at is None:
            if is_repeated:
                if not await self._borrow(view):
                    return view
                view = await self.read(reference)
            await self._ask_for_payout(view)
        return await self.read(reference)

    async def hear(self, heard: Heard) -> None:
        """Look into what the provider says happened. Raises ProviderUnavailable or Unavailable."""
        view = await self._find(heard.reference)
        if view is None:
            log.info("payment_unknown", reference=heard.reference)
            return
        if _is_known(view, heard):
            return
        report = await self._verify(view)
        if report is not None:
            await self._ends.conclude(view, report, is_final=heard.claim == "failed")

    async def check(self, payment_id: int) -> None:
        """Ask the provider about a payment that was borrowed, and end it or put it off."""
        async with self._database.reading() as session:
            view = await payment_rows.find_by_id(session, payment_id)
        if view is None or view.state != "PROCESSING":
            return
        try:
            word = await self._advance(view)
        except (ProviderUnavailable, Unavailable) as error:
            log.warning("payment_put_off", reference=view.payment.reference, code=error.code)
            word = None
        async with self._database.transaction() as session:
            await payment_rows.put_off(session, view, word=word, now=datetime.now(UTC))

    def check_currency(self, kind: PaymentKind, currency: str) -> None:
        """Raise CurrencyNotSupported unless the provider handles a currency."""
        if currency not in self._provider.currencies(kind):
            raise CurrencyNotSupported

    async def list_banks(self, currency: str) -> Sequence[Bank]:
        """Return the banks. Raises CurrencyNotSupported or ProviderUnavailable."""
        self.check_currency("payout", currency)
        return await self._provider.list_banks(currency)

    async def resolve_account(self, account: BankAccount) -> str:
        """Return whose account this is. Raises BankAccountNotFound or ProviderUnavailable."""
        try:
            return await self._provider.resolve_account(account)
        except ProviderRefused:
            raise BankAccountNotFound from None

    async def check_account(self, account: BankAccount) -> None:
        """Raise BankAccountNotFound for an account that surely is none, before any money moves."""
        try:
            await self.resolve_account(account)
        except ProviderUnavailable:
            # It is checked again when the payout is made.
            return

    async def close(self) -> None:
        """Let go of the provider."""
        await self._provider.close()

    async def read_own(self, kind: PaymentKind, reference: str, user_id: int) -> PaymentView:
        """Return a payment of this person's. Raises PaymentNotFound."""
        view = await self.read(reference)
        if view.user_id != user_id or view.payment.kind != kind:
            raise PaymentNotFound
        return view

    async def read(self, reference: str) -> PaymentView:
        """Return a payment. Raises PaymentNotFound."""
        view = await self._find(reference)
        if view is None:
            raise PaymentNotFound
        return view

    async def _advance(self, view: PaymentView) -> str | None:
        """Do what brings a payment further; return the provider's word for how it stands."""
        age = datetime.now(UTC) - view.created_at
        report = await self._verify(view) if _may_be_known(view) else None
        if report is not None:
            await self._ends.conclude(view, report, is_final=age >= DECLINED_PATIENCE)
            if view.payment.kind == "deposit" and age >= LIFETIME:
                await self._ends.end(view, "expired")
            return report.word
        if view.payment.kind == "payout":
            if age < LIFETIME:
                return await self._ask_for_payout(view)
            await self._give_up_payout(view)
        elif age >= LIFETIME:
            await self._ends.end(view, "expired")
        elif view.asked_at is None and age >= START_PATIENCE:
            await self._ends.end(view, "not_started")
        return None

    async def _ask_for_payout(self, view: PaymentView) -> str | None:
        """Ask for a payout; safe to repeat, since the provider takes a reference once."""
        reference, money = view.payment.reference, view.payment.money
        try:
            recipient_code = await self._recipient_of(view)
            # Before it is asked: whoever comes next must know that it may have been.
            if not await self._note_asking(view):
                return None
            report = await self._provider.pay_out(
                reference=reference, recipient_code=recipient_code, money=money
            )
        except ProviderUnavailable:
            # Perhaps it was taken: the worker will see.
            return None
        except ProviderRefused as refusal:
            return await self._hear_refusal(view, refusal)
        return await self._hear_report(view, report)

    async def _hear_refusal(self, view: PaymentView, refusal: ProviderRefused) -> str | None:
        """End a payout that the provider refuses, if it surely has not taken it before."""
        reference, asked_before = view.payment.reference, view.asked_at
        is_known = isinstance(refusal, ReferenceKnown)
        if is_known or asked_before is not None:
            try:
                report = await self._provider.verify_payout(reference)
            except ProviderUnavailable:
                report = None
            if report is not None:
                return await self._hear_report(view, report)
            if is_known:
                await self._note_word(view, KNOWN)
                return KNOWN
            if not _is_long_ago(asked_before):
                return None
        log.warning("payout_refused", reference=reference, code=refusal.code)
        await self._ends.end(view, "provider_refused")
        return None

    async def _hear_report(self, view: PaymentView, report: Report) -> str:
        await self._note_word(view, report.word)
        await self._ends.conclude(view, report, is_final=True)
        return report.word

    async def _give_up_payout(self, view: PaymentView) -> None:
        """End a payout that the provider does not know, unless it ever knew it."""
        if view.provider_status is not None:
            await self._ends.call_attention(view, "payout_not_found")
        elif view.asked_at is None or _is_long_ago(view.asked_at):
            await self._ends.end(view, "expired")

    async def _note_asking(self, view: PaymentView) -> bool:
        async with self._database.transaction() as session:
            return await payment_rows.note_asking(session, view, now=datetime.now(UTC))

    async def _note_word(self, view: PaymentView, word: str) -> None:
        async with self._database.transaction() as session:
            await payment_rows.note_payout(session, view, word=word, now=datetime.now(UTC))

    async def _recipient_of(self, view: PaymentView) -> str:
        if view.recipient_code is not None:
            return view.recipient_code
        if view.bank is None:
            raise AssertionError("The table has no payout without an account.")
        code = await self._provider.make_recipient(
            view.bank, name=view.owner_name, currency=view.payment.money.currency
        )
        async with self._database.transaction() as session:
            await payment_rows.note_recipient(session, view, code)
        return code

    async def _verify(self, view: PaymentView) -> Report | None:
        if view.payment.kind == "deposit":
            return await self._provider.verify_deposit(view.payment.reference)
        return await self._provider.verify_payout(view.payment.reference)

    async def _borrow(self, view: PaymentView) -> bool:
        async with self._database.transaction() as session:
            return await payment_rows.borrow(session, view.payment.reference, now=datetime.now(UTC))

    async def _find(self, reference: str) -> PaymentView | None:
        async with self._database.reading() as session:
            return await payment_rows.find(session, reference)


def _is_known(view: PaymentView, heard: Heard) -> bool:
    """Whether what was heard cannot change anything any more."""
    if view.state == "SUCCESS":
        return heard.claim == "success" or view.is_reversed
    return view.state == "FAILED" and heard.claim != "success"


def _may_be_known(view: PaymentView) -> bool:
    """Whether the provider may know of a payment: a first answer may have been lost."""
    return view.payment.kind == "deposit" or view.asked_at is not None


def _is_long_ago(asked_at: datetime | None) -> bool:
    """Whether the provider would know by now what it took then."""
    return asked_at is not None and datetime.now(UTC) - asked_at >= MISS_PATIENCE
