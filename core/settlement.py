"""What one batch decides, in memory: an answer for each attempt and the records of it.

Pure but for drawing wallet numbers. Each attempt is accepted or refused by itself, against the
balances that the attempts before it left behind.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from core.book import Book
from core.booking import Booking, NewIds, implied
from core.commands import (
    ISSUING,
    Answer,
    Attempt,
    Closed,
    CloseWallet,
    CreditDeposit,
    CreditsOf,
    EndPayment,
    Move,
    OpenAccount,
    Opened,
    OpenWallet,
    Outcome,
    PaymentBooking,
    Reference,
    Refused,
    Rendered,
    ReversePayout,
    Settled,
    StartPayment,
    deposit,
)
from core.errors import IdempotencyKeyReused, WalletError
from core.money import Money
from core.payment_settlement import PaymentSettlement, payout_of
from core.postings import Refusal, check_may_close, check_may_open, decide
from core.records import KeyOfPrincipal, Records


class Remembered(NamedTuple):
    """What a key was used for and what was answered."""

    fingerprint: bytes
    rendered: Rendered


@dataclass(frozen=True, slots=True)
class NewAccounts:
    """What the attempts of a batch may make: so many accounts and holders of credits.

    `owners` are those people who open an account themselves.
    """

    owners: frozenset[int]
    accounts: int
    holders: int

    @classmethod
    def of(cls, attempts: Sequence[Attempt], book: Book) -> "NewAccounts":
        """Tell it from the commands, and from the accounts that are there."""
        owners: list[int] = []
        missing: set[Reference] = set()
        for attempt in attempts:
            match attempt.command:
                case Move() as move if move.type in ISSUING:
                    missing |= {item for item in implied(move) if book.find(item) is None}
                case StartPayment(kind="payout") as start:
                    move = payout_of(start)
                    missing |= {item for item in implied(move) if book.find(item) is None}
                case OpenWallet() | OpenAccount() as opening:
                    owners.append(opening.user_id)
        named = {item.external_user_id for item in missing if isinstance(item, CreditsOf)}
        return cls(frozenset(owners), len(owners) + len(missing), len(named - book.holders.keys()))


class Settlement:
    """The state of one batch while its attempts are settled in order.

    The lists of ids hold at least as many as the attempts may need.
    """

    def __init__(
        self,
        *,
        book: Book,
        remembered: Mapping[KeyOfPrincipal, Remembered],
        transaction_ids: Sequence[int],
        wallet_ids: Sequence[int],
        holder_ids: Sequence[int],
        now: datetime,
    ):
        self.records = Records(now)
        self._book = book
        self._remembered = dict(remembered)
        self._booking = Booking(
            book, self.records, NewIds.of(transaction_ids, wallet_ids, holder_ids)
        )
        self._payments = PaymentSettlement(book, self._booking)

    def settle(self, attempt: Attempt) -> Settled:
        """Decide one attempt, or repeat what its key was answered before.

        A key that stands for another request is refused, and so is what ends a payment but cannot
        be booked now. Neither refusal is remembered.
        """
        key = (attempt.principal_id, attempt.key)
        known = self._remembered.get(key)
        if known is None:
            return self._settle_fresh(attempt)
        if known.fingerprint != attempt.fingerprint:
            return IdempotencyKeyReused()
        self.records.add_replay(key)
        return Answer(known.rendered.status, known.rendered.body, replayed=True)

    def _settle_fresh(self, attempt: Attempt) -> Settled:
        transaction_id: int | None = None
        outcome: Outcome
        try:
            match attempt.command:
                case Move() as command:
                    transaction_id, outcome = self._move(command)
                case CloseWallet() as command:
                    outcome = self._close(command)
                case StartPayment() as command:
                    transaction_id, outcome = self._payments.start(command)
                case EndPayment() | ReversePayout() | CreditDeposit() as command:
                    transaction_id, outcome = self._payments.finish(command)
                case command:
                    transaction_id, outcome = self._open(command)
        except WalletError as error:
            if isinstance(attempt.command, PaymentBooking):
                # The money is out there whatever we think of it: this must be tried again.
                return error
            outcome = self._refused(error, None)
        failure_code = outcome.error.code if isinstance(outcome, Refused) else None
        rendered = attempt.render(outcome)
        self._remember(attempt, rendered, transaction_id)
        return Answer(rendered.status, rendered.body, replayed=False, failure_code=failure_code)

    def _open(self, command: OpenWallet | OpenAccount) -> tuple[int | None, Outcome]:
        check_may_open(command, self._book)
        name: str | None
        match command:
            case OpenWallet():
                opening, name = command.opening, None
            case OpenAccount():
                opening, name = Money(0, command.currency), command.name
        account = self._booking.open_for_person(
            command.user_id,
            opening.currency,
            is_primary=isinstance(command, OpenWallet),
            name=name,
        )
        transaction_id = None
        if opening.minor > 0:
            # The rule for an opening balance is the rule for a deposit; it cannot be refused here.
            transaction_id, _ = self._move(deposit(user_id=command.user_id, money=opening))
        return transaction_id, Opened(
            wallet_id=account.id,
            user_id=command.user_id,
            wallet_number=account.number,
            balance=Money(account.balance_minor, account.currency),
            created_at=self.records.now,
        )

    def _close(self, command: CloseWallet) -> Outcome:
        account = check_may_close(command, self._book)
        self._book.remove(account)
        self.records.close(account)
        return Closed(wallet_id=account.id)

    def _move(self, move: Move) -> tuple[int, Outcome]:
        if move.type in ISSUING:
            self._booking.open_implied(move)
        decision = decide(move, self._book)
        transaction_id = self._booking.new_transaction_id()
        if isinstance(decision, Refusal):
            error = decision.error
            self.records.add_transaction(transaction_id, decision.movement, "FAILED", error.code)
            return transaction_id, self._refused(error, transaction_id)
        self.records.add_transaction(transaction_id, decision.movement, "SUCCESS")
        return transaction_id, self._booking.post(transaction_id, decision)

    def _refused(self, error: WalletError, transaction_id: int | None) -> Refused:
        return Refused(error=error, transaction_id=transaction_id, created_at=self.records.now)

    def _remember(self, attempt: Attempt, rendered: Rendered, transaction_id: int | None) -> None:
        key = (attempt.principal_id, attempt.key)
        self._remembered[key] = Remembered(attempt.fingerprint, rendered)
        self.records.add_key(key, attempt.fingerprint, rendered, transaction_id)
