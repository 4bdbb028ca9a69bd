"""Payments by a provider: what the wallet asks it, and what it believes.

The provider is never asked within a transaction. What it says by itself is not believed: it is
asked how the payment stands. What follows for money is in `core.payment_ends`.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from core import payment_rows
from core.banks import Banks
from core.errors import IdempotencyInFlight, Unavailable
from core.payment_commands import PaymentKind
from core.payment_ends import PaymentEnds
from core.payment_errors import (
    CurrencyNotSupported,
    DepositEnded,
    PaymentNotFound,
    PaymentRefused,
    ProviderUnavailable,
)
from core.payment_rows import PaymentView
from core.payouts import Payouts
from core.poster import Poster
from core.provider import (
    Checkout,
    Heard,
    PaymentProvider,
    ProviderRefused,
    ReferenceKnown,
    Report,
)
from db.session import Database

log = structlog.get_logger(__name__)

# How long a deposit that nobody pays, or a payout that the provider never saw, may stay so.
LIFETIME: Final = timedelta(days=1)
# How long a deposit that somebody is paying, as the provider says, may take.
LONGEST_LIFETIME: Final = timedelta(days=7)
# How long whoever began a deposit may try again to reach the provider under the same key.
START_PATIENCE: Final = timedelta(minutes=10)
# A person whose card was declined may pay by another one on the same page.
DECLINED_PATIENCE: Final = timedelta(hours=1)

_REFUSED: Final = "provider_refused"


class Payments:
    """Brings payments from their beginning to their end."""

    def __init__(self, database: Database, poster: Poster, provider: PaymentProvider):
        self._database = database
        self.banks = Banks(provider)
        self._provider = provider
        self._ends = PaymentEnds(database, poster)
        self._payouts = Payouts(database, provider, self._ends)

    async def open_checkout(self, reference: str, *, is_repeated: bool) -> Checkout:
        """Return where a person pays for a deposit that was begun.

        Raises PaymentRefused, which ends the deposit; DepositEnded; ProviderUnavailable, after
        which the same may be tried again; IdempotencyInFlight while somebody else is trying.
        """
        view = await self.read(reference)
        _check_payable(view)
        if view.checkout is not None:
            return view.checkout
        if is_repeated and not await self._borrow(view):
            raise IdempotencyInFlight
        try:
            checkout = await self._provider.open_checkout(
                reference=reference, money=view.payment.money, email=view.email
            )
        except ReferenceKnown:
            # It opened a page before, and the answer was lost: nobody can tell where that is.
            log.warning("deposit_page_lost", reference=reference)
            await self._ends.end(view, "page_lost")
            raise DepositEnded from None
        except ProviderRefused as error:
            log.warning("deposit_refused", reference=reference, code=error.code)
            await self._ends.end(view, _REFUSED)
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
            await self._payouts.ask(view)
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

    async def check(self, payment_id: int, *, leased_until: datetime) -> None:
        """Ask the provider about a payment that was borrowed, and end it or put it off.

        Whoever has it no more, since they waited for too long, leaves it to the next.
        """
        async with self._database.transaction() as session:
            now = datetime.now(UTC)
            if not await payment_rows.renew(
                session, payment_id, leased_until=leased_until, now=now
            ):
                return
            view = await payment_rows.find_by_id(session, payment_id)
        if view is None:
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
        report = await self._verify(view) if _may_be_known(view) else None
        if view.payment.kind == "deposit":
            await self._advance_deposit(view, report)
        elif report is not None:
            await self._ends.conclude(view, report, is_final=True)
        elif datetime.now(UTC) - view.created_at < LIFETIME:
            return await self._payouts.ask(view)
        else:
            await self._payouts.give_up(view)
        return None if report is None else report.word

    async def _advance_deposit(self, view: PaymentView, report: Report | None) -> None:
        age = datetime.now(UTC) - view.created_at
        if report is None:
            if age >= LIFETIME:
                await self._ends.end(view, "expired")
            elif view.asked_at is None and age >= START_PATIENCE:
                await self._ends.end(view, "not_started")
            return
        declined_for = await self._note_declined(view, report)
        await self._ends.conclude(view, report, is_final=declined_for >= DECLINED_PATIENCE)
        # Nothing is decided while somebody is paying, but not for ever.
        longest = LIFETIME if report.verdict == "abandoned" else LONGEST_LIFETIME
        if age >= longest:
            await self._ends.end(view, "expired")

    async def _note_declined(self, view: PaymentView, report: Report) -> timedelta:
        """Write down when a decline is first seen; return for how long it has been known."""
        now = datetime.now(UTC)
        declined_at = (view.declined_at or now) if report.verdict == "failed" else None
        if declined_at != view.declined_at:
            async with self._database.transaction() as session:
                await payment_rows.note_declined(session, view, declined_at)
        return timedelta.min if declined_at is None else now - declined_at

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


def _check_payable(view: PaymentView) -> None:
    """Raise for a deposit that failed, or that nobody can find the page of, why it cannot be paid.

    One that was paid is answered as it was at first.
    """
    if view.failure_code == _REFUSED:
        raise PaymentRefused
    if view.state == "FAILED" or (view.state == "SUCCESS" and view.checkout is None):
        raise DepositEnded


def _may_be_known(view: PaymentView) -> bool:
    """Whether the provider may know of a payment: a first answer may have been lost."""
    return view.payment.kind == "deposit" or view.asked_at is not None
