"""What one batch decides, in memory: an answer for each attempt and the records of it.

Pure but for drawing wallet numbers. Each attempt is accepted or refused by itself, against the
balances that the attempts before it left behind.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from core.book import Account, Book
from core.commands import (
    ISSUING,
    Answer,
    Attempt,
    Closed,
    CloseWallet,
    CreditsOf,
    Move,
    Moved,
    OpenAccount,
    Opened,
    OpenWallet,
    Outcome,
    Reference,
    Refused,
    Rendered,
    Treasury,
    deposit,
)
from core.errors import IdempotencyKeyReused, WalletError
from core.money import Money
from core.postings import Posting, Refusal, check_may_close, check_may_open, decide
from core.records import KeyOfPrincipal, Records
from core.wallet_numbers import make_wallet_number


@dataclass(frozen=True, slots=True)
class Remembered:
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
                    missing |= {item for item in _both(move) if book.find(item) is None}
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
        self._transaction_ids = iter(transaction_ids)
        self._wallet_ids = iter(wallet_ids)
        self._holder_ids = iter(holder_ids)

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
                case Move() as command:
                    transaction_id, outcome = self._move(command)
                case CloseWallet() as command:
                    outcome = self._close(command)
                case command:
                    transaction_id, outcome = self._open(command)
        except WalletError as error:
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
        account = Account(
            id=next(self._wallet_ids),
            number=make_wallet_number(),
            user_id=command.user_id,
            is_primary=isinstance(command, OpenWallet),
            currency=opening.currency,
            balance_minor=0,
        )
        self.records.open(account, name)
        self._book.add(account)
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
            for reference in _both(move):
                if self._book.find(reference) is None:
                    self._open_for_credits(reference)
        decision = decide(move, self._book)
        transaction_id = next(self._transaction_ids)
        if isinstance(decision, Refusal):
            self.records.add_transaction(transaction_id, decision.movement, decision.error.code)
            return transaction_id, self._refused(decision.error, transaction_id)
        self.records.add_transaction(transaction_id, decision.movement, None)
        return transaction_id, self._book_entries(transaction_id, decision)

    def _open_for_credits(self, reference: CreditsOf | Treasury) -> None:
        """Open the account of a holder, made known if need be, or the house's of an asset."""
        holder_id = None
        if isinstance(reference, CreditsOf):
            holder_id = self._book.holders.get(reference.external_user_id)
            if holder_id is None:
                holder_id = next(self._holder_ids)
                self._book.holders[reference.external_user_id] = holder_id
                self.records.add_holder(holder_id, reference.external_user_id)
        account = Account(
            id=next(self._wallet_ids),
            number=make_wallet_number(),
            holder_id=holder_id,
            system_role="treasury" if holder_id is None else None,
            may_go_negative=holder_id is None,
            currency=reference.asset.code,
            balance_minor=0,
            transferable=reference.asset.transferable,
            withdrawable=reference.asset.withdrawable,
        )
        self.records.open(account)
        self._book.add(account)

    def _refused(self, error: WalletError, transaction_id: int | None) -> Refused:
        return Refused(error=error, transaction_id=transaction_id, created_at=self.records.now)

    def _book_entries(self, transaction_id: int, posting: Posting) -> Moved:
        """Write down both sides, change the balances, and tell the acting wallet's."""
        movement = posting.movement
        self._book.apply(posting.debit, posting.credit)
        told: set[int] = set()
        for entry_type, side in (("DEBIT", posting.debit), ("CREDIT", posting.credit)):
            self.records.add_entry(transaction_id, entry_type, side, movement.money)
            if side.wallet_id is None:
                continue
            account = self._book.get(side.wallet_id)
            self.records.change(account)
            # Only people are told, and once: they may be on both sides.
            if account.user_id is not None and account.user_id not in told:
                told.add(account.user_id)
                self.records.add_receipt(transaction_id, account.user_id)
        return Moved(
            transaction_id=transaction_id,
            wallet_id=movement.wallet_id,
            counterparty_wallet_id=movement.counterparty_wallet_id,
            money=movement.money,
            balance_minor=self._book.get(movement.wallet_id).balance_minor,
            created_at=self.records.now,
        )

    def _remember(self, attempt: Attempt, rendered: Rendered, transaction_id: int | None) -> None:
        key = (attempt.principal_id, attempt.key)
        self._remembered[key] = Remembered(attempt.fingerprint, rendered)
        self.records.add_key(key, attempt.fingerprint, rendered, transaction_id)


def _both(move: Move) -> list[CreditsOf | Treasury]:
    """Return the accounts of a movement that makes those it does not find."""
    return [item for item in move.references if isinstance(item, CreditsOf | Treasury)]
