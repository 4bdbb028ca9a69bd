"""What one batch decides, in memory: an answer for each attempt and the records of it.

Pure but for drawing wallet numbers. Each attempt is accepted or refused by itself, against the
balances that the attempts before it left behind.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from core.commands import (
    Answer,
    Attempt,
    Closed,
    CloseWallet,
    Deposit,
    Moved,
    Opened,
    OpenWallet,
    Outcome,
    Rendered,
)
from core.errors import IdempotencyKeyReused, WalletError
from core.money import Money
from core.postings import (
    Account,
    Book,
    MovementCommand,
    Posting,
    Refusal,
    check_may_close,
    check_may_open,
    decide,
)
from core.records import KeyOfPrincipal, Records
from core.wallet_numbers import make_wallet_number


@dataclass(frozen=True, slots=True)
class Remembered:
    """What a key was used for and what was answered."""

    fingerprint: bytes
    rendered: Rendered


class Settlement:
    """The state of one batch while its attempts are settled in order.

    `transaction_ids` and `wallet_ids` hold at least as many ids as the attempts may need.
    """

    def __init__(
        self,
        *,
        book: Book,
        remembered: Mapping[KeyOfPrincipal, Remembered],
        transaction_ids: Sequence[int],
        wallet_ids: Sequence[int],
        now: datetime,
    ):
        self.records = Records(now)
        self._book = book
        self._remembered = dict(remembered)
        self._transaction_ids = iter(transaction_ids)
        self._wallet_ids = iter(wallet_ids)

    def settle(self, attempt: Attempt) -> Answer | IdempotencyKeyReused:
        """Decide one attempt, or repeat what its key was answered before.

        A key that stands for another request is refused, and that refusal is not remembered.
        """
        key = (attempt.principal_id, attempt.key)
        known = self._remembered.get(key)
        if known is None:
            return self._settle_fresh(attempt)
        if known.fingerprint != attempt.fingerprint:
            return IdempotencyKeyReused()
        self.records.add_replay(key)
        return Answer(known.rendered.status, known.rendered.body, replayed=True)

    def _settle_fresh(self, attempt: Attempt) -> Answer:
        transaction_id: int | None = None
        outcome: Outcome
        try:
            match attempt.command:
                case OpenWallet() as command:
                    transaction_id, outcome = self._open(command)
                case CloseWallet() as command:
                    outcome = self._close(command)
                case command:
                    transaction_id, outcome = self._move(command)
        except WalletError as error:
            outcome = error
        failure_code = outcome.code if isinstance(outcome, WalletError) else None
        rendered = attempt.render(outcome)
        self._remember(attempt, rendered, transaction_id)
        return Answer(rendered.status, rendered.body, replayed=False, failure_code=failure_code)

    def _open(self, command: OpenWallet) -> tuple[int | None, Outcome]:
        check_may_open(command.user_id, self._book)
        currency = command.opening.currency
        account = Account(
            id=next(self._wallet_ids), user_id=command.user_id, currency=currency, balance_minor=0
        )
        number = make_wallet_number()
        self.records.open(account, number)
        self._book.add(account)
        transaction_id = None
        if command.opening.minor > 0:
            # The rule for an opening balance is the rule for a deposit; it cannot be refused here.
            transaction_id, _ = self._move(Deposit(user_id=command.user_id, money=command.opening))
        return transaction_id, Opened(
            wallet_id=account.id,
            user_id=command.user_id,
            wallet_number=number,
            balance=Money(account.balance_minor, currency),
            created_at=self.records.now,
        )

    def _close(self, command: CloseWallet) -> Outcome:
        account = check_may_close(command.user_id, self._book)
        self._book.remove(account)
        self.records.close(account)
        return Closed(wallet_id=account.id)

    def _move(self, command: MovementCommand) -> tuple[int, Outcome]:
        decision = decide(command, self._book)
        transaction_id = next(self._transaction_ids)
        if isinstance(decision, Refusal):
            self.records.add_transaction(transaction_id, decision.movement, decision.error.code)
            return transaction_id, decision.error
        self.records.add_transaction(transaction_id, decision.movement, None)
        return transaction_id, self._book_entries(transaction_id, decision)

    def _book_entries(self, transaction_id: int, posting: Posting) -> Moved:
        """Write down both sides, change the balances, and tell the acting wallet's."""
        movement = posting.movement
        self._book.apply(posting)
        for entry_type, side in (("DEBIT", posting.debit), ("CREDIT", posting.credit)):
            self.records.add_entry(transaction_id, entry_type, side, movement.money)
            if side.wallet_id is None:
                continue
            account = self._book.get(side.wallet_id)
            self.records.change(account)
            # A system account has nobody to tell.
            if account.user_id is not None:
                self.records.add_receipt(transaction_id, account.user_id)
        return Moved(
            transaction_id=transaction_id,
            wallet_id=movement.wallet_id,
            counterparty_wallet_id=movement.counterparty_wallet_id,
            money=movement.money,
            balance_minor=self._book.get(movement.wallet_id).balance_minor,
        )

    def _remember(self, attempt: Attempt, rendered: Rendered, transaction_id: int | None) -> None:
        key = (attempt.principal_id, attempt.key)
        self._remembered[key] = Remembered(attempt.fingerprint, rendered)
        self.records.add_key(key, attempt.fingerprint, rendered, transaction_id)
