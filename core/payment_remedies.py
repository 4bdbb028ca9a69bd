"""What operators do about payments that the books could not settle by themselves.

Nothing is done that the provider contradicts: it is asked again first. What was done, and why, is
kept with the payment and logged.
"""

from datetime import UTC, datetime
from typing import Literal

import structlog

from core import payment_attention, payment_rows
from core.payment_ends import PaymentEnds
from core.payment_errors import PaymentNotFound
from core.payment_rows import PaymentView
from core.poster import Poster
from core.provider import PaymentProvider, Report
from db.session import Database

log = structlog.get_logger(__name__)

PayoutEnd = Literal["arrived", "returned"]


class RemedyRefused(Exception):
    """What an operator asked for must not be done; the text says why, and what to do instead."""


class PaymentRemedies:
    """Everything may raise PaymentNotFound, RemedyRefused, ProviderUnavailable or Unavailable."""

    def __init__(self, database: Database, poster: Poster, provider: PaymentProvider):
        self._database = database
        self._provider = provider
        self._ends = PaymentEnds(database, poster)

    async def credit(self, reference: str) -> int:
        """Credit a deposit that was paid after it had failed, once; return the transaction's id.

        Raises also why the wallet cannot take it.
        """
        view = await self._read(reference)
        if view.payment.kind != "deposit" or view.state != "FAILED":
            raise RemedyRefused("Only a deposit that failed can be credited after all.")
        report = await self._provider.verify_deposit(reference)
        if report is None or report.verdict != "success":
            raise RemedyRefused("The provider does not say that it was paid; ask again later.")
        if not _is_as_asked(view, report):
            told = f"{report.money.minor} minor units of {report.money.currency}"
            raise RemedyRefused(f"It was paid otherwise, {told}; refund it at the provider.")
        transaction_id = await self._ends.credit(view)
        async with self._database.transaction() as session:
            await payment_attention.note(session, view, "success_after_failure")
        await self._attend(view, f"credited by transaction {transaction_id}")
        return transaction_id

    async def end_payout(self, reference: str, end: PayoutEnd, *, note: str) -> None:
        """End a payout in doubt: as paid out, or by giving the money back to the wallet."""
        view = await self._read(reference)
        if view.payment.kind != "payout" or view.state != "PROCESSING" or view.attention is None:
            raise RemedyRefused("Only a payout that is under way and needs attention can be ended.")
        report = await self._provider.verify_payout(reference)
        if report is None and view.attention != "payout_not_found":
            raise RemedyRefused("The provider does not know it for now; the worker asks again.")
        possible = {"success": "arrived", "failed": "returned", "reversed": "returned"}
        if report is not None and possible.get(report.verdict) != end:
            raise RemedyRefused(f"The provider says that it is {report.word}.")
        await self._ends.end(view, None if end == "arrived" else "returned_by_operator")
        await self._attend(view, f"{end}: {note}")

    async def clear(self, reference: str, *, note: str) -> None:
        """Be done with what a payment needed, for a reason that is kept."""
        view = await self._read(reference)
        if view.attention is None:
            raise RemedyRefused("This payment needs no attention.")
        await self._attend(view, note)

    async def _read(self, reference: str) -> PaymentView:
        async with self._database.reading() as session:
            view = await payment_rows.find(session, reference)
        if view is None:
            raise PaymentNotFound
        return view

    async def _attend(self, view: PaymentView, note: str) -> None:
        log.warning("payment_attended", reference=view.payment.reference, note=note)
        async with self._database.transaction() as session:
            await payment_attention.attend(
                session, view, note_of_operator=note, now=datetime.now(UTC)
            )


def _is_as_asked(view: PaymentView, report: Report) -> bool:
    return (report.reference, report.money) == (view.payment.reference, view.payment.money)
