"""How a payout is asked for, and what is believed when the provider refuses or does not know it.

Money is given back only if the provider surely has not taken the payout, and will not: see
`core.payment_ends` for what that does. What is in doubt stays in transit, for the worker to ask
about, or for an operator.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from core import payment_rows
from core.payment_ends import PaymentEnds
from core.payment_errors import ProviderUnavailable
from core.payment_rows import PaymentView
from core.provider import PaymentProvider, ProviderRefused, ReferenceKnown, Report
from db.session import Database

log = structlog.get_logger(__name__)

# How long the provider may not find what it took: until then a payout that it may have taken is not
# given back only because it does not know it.
MISS_PATIENCE: Final = timedelta(minutes=10)
# What is kept as the provider's word for a payout that it has and does not find.
KNOWN: Final = "known"


class Payouts:
    """Asks for payouts. Everything may raise Unavailable."""

    def __init__(self, database: Database, provider: PaymentProvider, ends: PaymentEnds):
        self._database = database
        self._provider = provider
        self._ends = ends

    async def ask(self, view: PaymentView) -> str | None:
        """Ask for a payout that `view` was borrowed as; return the provider's word for it.

        Safe to repeat, since the provider takes a reference once.
        """
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
            # Once it has said that it has it, no refusal undoes that.
            if view.provider_status is not None or not _is_long_ago(asked_before):
                return None
        log.warning("payout_refused", reference=reference, code=refusal.code)
        await self._ends.end(view, "provider_refused")
        return None

    async def _hear_report(self, view: PaymentView, report: Report) -> str:
        await self._note_word(view, report.word)
        await self._ends.conclude(view, report, is_final=True)
        return report.word

    async def give_up(self, view: PaymentView) -> None:
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


def _is_long_ago(asked_at: datetime | None) -> bool:
    """Whether the provider would know by now what it took then."""
    return asked_at is not None and datetime.now(UTC) - asked_at >= MISS_PATIENCE
