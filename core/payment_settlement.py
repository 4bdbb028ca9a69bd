"""How payments begin and end within a batch; part of `core.settlement`, and as pure."""

from core.book import Book
from core.booking import Booking
from core.commands import (
    CreditDeposit,
    EndPayment,
    InTransit,
    Move,
    Outcome,
    PaymentBooking,
    PaymentEnded,
    PaymentStarted,
    Primary,
    Refused,
    ReversePayout,
    StartPayment,
    TransactionType,
    WalletId,
)
from core.payment_commands import Payment
from core.postings import Posting, Refusal, decide


class PaymentSettlement:
    """Begins and ends payments in the book and the records of one batch.

    That a payment ends once, and comes back once, is up to the keys of the attempts: see
    `core.payments`. The database refuses a second end all the same.
    """

    def __init__(self, book: Book, booking: Booking):
        self._book = book
        self._booking = booking
        self._records = booking.records

    def start(self, command: StartPayment) -> tuple[int, Outcome]:
        """Begin a payment; what a payout takes is in transit from then on.

        Raises WalletNotFound.
        """
        move = deposit_of(command) if command.kind == "deposit" else payout_of(command)
        if command.kind == "payout":
            self._booking.open_implied(move)
        decision = decide(move, self._book)
        transaction_id = self._booking.new_transaction_id()
        if isinstance(decision, Refusal):
            error, now = decision.error, self._records.now
            self._records.add_transaction(transaction_id, decision.movement, "FAILED", error.code)
            return transaction_id, Refused(
                error=error, transaction_id=transaction_id, created_at=now
            )
        payment = Payment(
            reference=command.reference,
            kind=command.kind,
            transaction_id=transaction_id,
            wallet_id=decision.movement.wallet_id,
            money=command.money,
        )
        state = "PROCESSING" if command.kind == "deposit" else "SUCCESS"
        self._records.add_transaction(transaction_id, decision.movement, state)
        if command.kind == "payout":
            self._booking.post(transaction_id, decision)
        self._records.add_payment(payment, command.bank)
        self._book.pending_payments[payment.wallet_id] += 1
        return transaction_id, PaymentStarted(payment=payment)

    def finish(self, command: PaymentBooking) -> tuple[int | None, Outcome]:
        """End a payment, or book what came after its end. Raises why that cannot be booked."""
        payment = command.payment
        match command:
            case ReversePayout():
                transaction_id, outcome = self._post("payout_reversed", payment)
                self._records.reverse_payment(payment.reference, transaction_id)
                return transaction_id, outcome
            case CreditDeposit():
                return self._post("deposit", payment)
            case EndPayment(failure_code=failure_code):
                closing_id = None
                if payment.kind == "deposit":
                    self._end_deposit(payment, failure_code)
                else:
                    type_: TransactionType = "payout_returned" if failure_code else "payout_settled"
                    closing_id, _ = self._post(type_, payment)
                self._records.end_payment(payment.reference, failure_code, closing_id)
                self._book.pending_payments[payment.wallet_id] -= 1
                return closing_id, PaymentEnded(payment=payment, failure_code=failure_code)

    def _end_deposit(self, payment: Payment, failure_code: str | None) -> None:
        """Give the transaction that waited its end and, if it succeeded, its entries."""
        if failure_code is None:
            posting = self._decide("deposit", payment)
            self._booking.post(payment.transaction_id, posting)
        self._records.end_transaction(payment.transaction_id, failure_code)

    def _post(self, type_: TransactionType, payment: Payment) -> tuple[int, Outcome]:
        posting = self._decide(type_, payment)
        transaction_id = self._booking.new_transaction_id()
        self._records.add_transaction(transaction_id, posting.movement, "SUCCESS")
        return transaction_id, self._booking.post(transaction_id, posting)

    def _decide(self, type_: TransactionType, payment: Payment) -> Posting:
        decision = decide(_ending(type_, payment), self._book)
        if isinstance(decision, Refusal):
            raise decision.error
        return decision


def deposit_of(start: StartPayment) -> Move:
    """Return what a deposit will be; decided when it begins, to refuse at once what cannot be."""
    return Move("deposit", Primary(start.user_id), None, start.money)


def payout_of(start: StartPayment) -> Move:
    """Return how a payout begins."""
    return Move("payout", Primary(start.user_id), InTransit(start.money.currency), start.money)


def _ending(type_: TransactionType, payment: Payment) -> Move:
    own, transit = WalletId(payment.wallet_id), InTransit(payment.money.currency)
    match type_:
        case "payout_settled":
            return Move(type_, transit, None, payment.money, ends_payment=True)
        case "payout_returned":
            return Move(type_, own, transit, payment.money, ends_payment=True)
        case _:
            return Move(type_, own, None, payment.money, ends_payment=True)
