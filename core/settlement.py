"""What one batch decides, in memory: an answer for each attempt and the rows that record it.

Pure but for drawing wallet numbers. Each attempt is accepted or refused by itself, against the
balances that the attempts before it left behind.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

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
    Movement,
    MovementCommand,
    Posting,
    Refusal,
    Side,
    check_may_close,
    check_may_open,
    decide,
)
from core.wallet_numbers import make_wallet_number

Row = dict[str, Any]
KeyOfPrincipal = tuple[int, str]


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
        self.transaction_rows: list[Row] = []
        self.entry_rows: list[Row] = []
        self.key_rows: list[Row] = []
        self.outbox_rows: list[Row] = []
        self.replay_rows: list[Row] = []
        self._book = book
        self._remembered = dict(remembered)
        self._transaction_ids = iter(transaction_ids)
        self._wallet_ids = iter(wallet_ids)
        self._now = now
        self._changed: dict[int, Account] = {}
        self._opened: dict[int, tuple[Account, str]] = {}
        self._closed: set[int] = set()

    def settle(self, attempt: Attempt) -> Answer | IdempotencyKeyReused:
        """Decide one attempt, or repeat what its key was answered before.

        A key that stands for another request is refused, and that refusal is not remembered.
        """
        known = self._remembered.get((attempt.principal_id, attempt.key))
        if known is None:
            return self._settle_fresh(attempt)
        if known.fingerprint != attempt.fingerprint:
            return IdempotencyKeyReused()
        self.replay_rows.append(
            {"replayed_principal_id": attempt.principal_id, "replayed_key": attempt.key}
        )
        return Answer(known.rendered.status, known.rendered.body, replayed=True)

    def changed_wallet_rows(self) -> list[Row]:
        """Return the wallets that existed before and changed, in id order."""
        return [
            {
                "changed_id": account.id,
                "new_balance_minor": account.balance_minor,
                "new_closed_at": self._now if account.id in self._closed else None,
                "new_updated_at": self._now,
            }
            for account in sorted(self._changed.values(), key=lambda account: account.id)
            if account.id not in self._opened
        ]

    def opened_wallet_rows(self) -> list[Row]:
        """Return the wallets that were opened, as the batch leaves them."""
        return [
            {
                "id": account.id,
                "user_id": account.user_id,
                "wallet_number": wallet_number,
                "currency": account.currency,
                "balance_minor": account.balance_minor,
                "may_go_negative": account.may_go_negative,
                "created_at": self._now,
                "updated_at": self._now,
                "closed_at": self._now if account.id in self._closed else None,
            }
            for account, wallet_number in self._opened.values()
        ]

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
        self._opened[account.id] = (account, number)
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
            created_at=self._now,
        )

    def _close(self, command: CloseWallet) -> Outcome:
        account = check_may_close(command.user_id, self._book)
        self._book.remove(account)
        self._changed[account.id] = account
        self._closed.add(account.id)
        return Closed(wallet_id=account.id)

    def _move(self, command: MovementCommand) -> tuple[int, Outcome]:
        decision = decide(command, self._book)
        transaction_id = next(self._transaction_ids)
        if isinstance(decision, Refusal):
            self._record(transaction_id, decision.movement, failure_code=decision.error.code)
            return transaction_id, decision.error
        self._record(transaction_id, decision.movement, failure_code=None)
        return transaction_id, self._book_entries(transaction_id, decision)

    def _record(self, transaction_id: int, movement: Movement, failure_code: str | None) -> None:
        self.transaction_rows.append(
            {
                "id": transaction_id,
                "type": movement.type,
                "state": "FAILED" if failure_code else "SUCCESS",
                "failure_code": failure_code,
                "wallet_id": movement.wallet_id,
                "counterparty_wallet_id": movement.counterparty_wallet_id,
                "amount_minor": movement.money.minor,
                "currency": movement.money.currency,
                "created_at": self._now,
            }
        )

    def _book_entries(self, transaction_id: int, posting: Posting) -> Moved:
        """Write down both sides, change the balances, and tell the acting wallet's."""
        money = posting.movement.money
        for entry_type, side in (("DEBIT", posting.debit), ("CREDIT", posting.credit)):
            self.entry_rows.append(self._entry_row(transaction_id, entry_type, side, money))
        self._book.apply(posting)
        for side in (posting.debit, posting.credit):
            if side.wallet_id is not None:
                account = self._book.get(side.wallet_id)
                self._changed[account.id] = account
                self._promise_receipt(transaction_id, account)
        wallet_id = posting.movement.wallet_id
        return Moved(
            transaction_id=transaction_id,
            wallet_id=wallet_id,
            counterparty_wallet_id=posting.movement.counterparty_wallet_id,
            money=money,
            balance_minor=self._book.get(wallet_id).balance_minor,
        )

    def _promise_receipt(self, transaction_id: int, account: Account) -> None:
        """Write down that the owner must be told; a system account has nobody to tell."""
        if account.user_id is None:
            return
        self.outbox_rows.append(
            {
                "transaction_id": transaction_id,
                "user_id": account.user_id,
                "created_at": self._now,
                "due_at": self._now,
                "attempts": 0,
            }
        )

    def _entry_row(self, transaction_id: int, entry_type: str, side: Side, money: Money) -> Row:
        return {
            "transaction_id": transaction_id,
            "wallet_id": side.wallet_id,
            "entry_type": entry_type,
            "amount_minor": money.minor,
            "currency": money.currency,
            "balance_snapshot_minor": side.balance_minor,
            "created_at": self._now,
        }

    def _remember(self, attempt: Attempt, rendered: Rendered, transaction_id: int | None) -> None:
        self._remembered[attempt.principal_id, attempt.key] = Remembered(
            attempt.fingerprint, rendered
        )
        self.key_rows.append(
            {
                "principal_id": attempt.principal_id,
                "key": attempt.key,
                "fingerprint": attempt.fingerprint,
                "status": rendered.status,
                "body": rendered.body,
                "transaction_id": transaction_id,
                "replays": 0,
                "created_at": self._now,
            }
        )
