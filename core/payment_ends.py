"""How payments end, and what that does to money.

Each end is an attempt of the house's under a key made of the payment's reference: one key to end a
payment, others for what comes after its end. So each happens once, whoever heard of it how often
and in which order, and the first to end a payment decides how it ended.
"""

import hashlib
import json

import structlog

from core import payment_attention
from core.commands import (
    HOUSE,
    Attempt,
    CreditDeposit,
    EndPayment,
    Moved,
    Outcome,
    PaymentBooking,
    PaymentEnded,
    Rendered,
    ReversePayout,
)
from core.errors import Unavailable, WalletError, WalletNotFound
from core.payment_rows import PaymentView
from core.poster import Poster
from core.provider import Report
from db.session import Database

log = structlog.get_logger(__name__)


class PaymentEnds:
    """Ends payments as the provider says they ended. Everything may raise Unavailable."""

    def __init__(self, database: Database, poster: Poster):
        self._database = database
        self._poster = poster

    async def conclude(self, view: PaymentView, report: Report, *, is_final: bool) -> None:
        """Do what a report asks for; `is_final` if a declined deposit cannot be paid any more."""
        payment = view.payment
        if report.verdict in {"abandoned", "pending"}:
            return
        if (report.reference, report.money) != (payment.reference, payment.money):
            # Whatever was paid, it is not what was asked for.
            await self.call_attention(view, "amount_mismatch")
            if payment.kind == "deposit":
                await self.end(view, "amount_mismatch")
        elif report.verdict == "success":
            if await self.end(view, None) is not None:
                await self.call_attention(view, "success_after_failure")
        elif payment.kind == "payout":
            if await self.end(view, f"payout_{report.verdict}") is None:
                await self._reverse(view)
        elif report.verdict == "reversed":
            await self._lose_deposit(view)
        elif is_final:
            await self.end(view, "declined")

    async def end(self, view: PaymentView, failure_code: str | None) -> str | None:
        """End a payment, unless it has ended; return why it failed then, None if it succeeded."""
        if view.state != "PROCESSING":
            return view.failure_code
        command = EndPayment(payment=view.payment, failure_code=failure_code)
        ended: dict[str, str | None] = json.loads(await self._post(view, "end", command))
        return ended["failure_code"]

    async def call_attention(self, view: PaymentView, attention: str) -> None:
        """Have an operator look into a payment. Raises what the database raises."""
        log.error("payment_needs_attention", reference=view.payment.reference, why=attention)
        async with self._database.transaction() as session:
            await payment_attention.note(session, view, attention)

    async def _lose_deposit(self, view: PaymentView) -> None:
        """The provider gave the money back; what a wallet has by now is not taken from it."""
        if await self.end(view, "deposit_reversed") is None:
            await self.call_attention(view, "deposit_reversed")

    async def _reverse(self, view: PaymentView) -> None:
        """Take in what comes back although it had arrived."""
        if view.is_reversed:
            return
        try:
            await self._post(view, "reverse", ReversePayout(payment=view.payment))
        except WalletNotFound:
            # Its owner closed the wallet since, and only a person can tell where to put it.
            await self.call_attention(view, "reversed_without_wallet")

    async def credit(self, view: PaymentView) -> int:
        """Credit a deposit that was paid after it had failed, once; return the transaction's id.

        Raises why it cannot be booked, and Unavailable.
        """
        attempt = _attempt(view, "credit", CreditDeposit(payment=view.payment))
        credited: dict[str, int] = json.loads(await self._post_once_more(attempt))
        return credited["transaction_id"]

    async def _post(self, view: PaymentView, what: str, command: EndPayment | ReversePayout) -> str:
        """Post under the house's key for this; return the first answer.

        Raises Unavailable, and WalletNotFound.
        """
        try:
            body = await self._post_once_more(_attempt(view, what, command))
        except (Unavailable, WalletNotFound):
            raise
        except WalletError as error:
            log.exception("payment_not_booked", reference=view.payment.reference, code=error.code)
            async with self._database.transaction() as session:
                await payment_attention.note_not_booked(session, view, what, code=error.code)
            raise Unavailable from error
        async with self._database.transaction() as session:
            await payment_attention.clear_booked(session, view)
        return body

    async def _post_once_more(self, attempt: Attempt) -> str:
        """Post, and again after a refusal: a rival may have ended the payment since the look began,
        and the look then sees the balances after that and the keys from before.
        """
        try:
            return (await self._poster.post(attempt)).body
        except (Unavailable, WalletNotFound):
            raise
        except WalletError:
            return (await self._poster.post(attempt)).body


def key_of(reference: str, what: str) -> str:
    """Return the house's key under which a payment is ended (`end`), brought back (`reverse`) or
    credited after all (`credit`).

    With spaces: no caller can send this key, not even a service of the house's.
    """
    return f"payment {reference} {what}"


def render_end(outcome: Outcome) -> Rendered:
    """Word an outcome for whoever books it: this is what the second one is told."""
    match outcome:
        case PaymentEnded(failure_code=failure_code):
            return Rendered(200, json.dumps({"failure_code": failure_code}))
        case Moved(transaction_id=transaction_id):
            return Rendered(200, json.dumps({"transaction_id": transaction_id}))
        case _:
            raise AssertionError("A refusal is raised, and nothing else is asked for.")


def _attempt(view: PaymentView, what: str, command: PaymentBooking) -> Attempt:
    reference = view.payment.reference
    return Attempt(
        principal_id=HOUSE,
        key=key_of(reference, what),
        # Not of how it ends: whoever comes second is told how it ended.
        fingerprint=hashlib.sha256(f"{what} {reference}".encode()).digest(),
        command=command,
        render=render_end,
    )
