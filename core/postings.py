"""The rules of money, pure: a command and the wallets in, balanced entries or a refusal out.

Nothing here reads a clock, a database or a setting. `core.ledger` locks the wallets, asks `decide`
for each command in turn, and writes what was decided.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, assert_never

from core.commands import Deposit, Transfer, Withdraw
from core.errors import (
    BalanceLimitExceeded,
    CurrencyMismatch,
    InsufficientFunds,
    RecipientNotFound,
    SelfTransfer,
    WalletError,
    WalletExists,
    WalletFrozen,
    WalletNotEmpty,
    WalletNotFound,
)
from core.money import MAX_MINOR, Money

TransactionType = Literal["deposit", "withdrawal", "transfer"]
MovementCommand = Deposit | Withdraw | Transfer


@dataclass(slots=True, kw_only=True)
class Account:
    """An open wallet as the batch sees it; `user_id` None is a system account."""

    id: int
    user_id: int | None
    currency: str
    balance_minor: int
    may_go_negative: bool = False
    frozen: bool = False


class Book:
    """The open wallets that a batch may touch, all of them locked."""

    def __init__(self, accounts: Iterable[Account] = ()):
        self._by_id: dict[int, Account] = {}
        self._by_user: dict[int, Account] = {}
        for account in accounts:
            self.add(account)

    def add(self, account: Account) -> None:
        """Take in a wallet that was loaded or just opened."""
        self._by_id[account.id] = account
        if account.user_id is not None:
            self._by_user[account.user_id] = account

    def remove(self, account: Account) -> None:
        """Forget a wallet that was just closed."""
        del self._by_id[account.id]
        if account.user_id is not None:
            del self._by_user[account.user_id]

    def of_user(self, user_id: int) -> Account | None:
        """Return the person's open wallet."""
        return self._by_user.get(user_id)

    def by_id(self, wallet_id: int) -> Account | None:
        """Return the open wallet with this id, if there is one."""
        return self._by_id.get(wallet_id)

    def get(self, wallet_id: int) -> Account:
        """Return the open wallet with this id, which is known to be here."""
        return self._by_id[wallet_id]

    def apply(self, posting: "Posting") -> None:
        """Set the balances that a posting leaves behind."""
        for side in (posting.debit, posting.credit):
            if side.wallet_id is not None and side.balance_minor is not None:
                self._by_id[side.wallet_id].balance_minor = side.balance_minor


@dataclass(frozen=True, slots=True)
class Side:
    """One entry of a posting: the wallet (None: the outside world) and its balance after it."""

    wallet_id: int | None
    balance_minor: int | None


@dataclass(frozen=True, slots=True)
class Movement:
    """What the owner of `wallet_id` attempted, alone or with another wallet."""

    type: TransactionType
    wallet_id: int
    counterparty_wallet_id: int | None
    money: Money


@dataclass(frozen=True, slots=True)
class Posting:
    """A movement that was accepted: its two entries, equal in amount and currency."""

    movement: Movement
    debit: Side
    credit: Side


@dataclass(frozen=True, slots=True)
class Refusal:
    """A movement that an existing wallet attempted in vain; recorded as FAILED."""

    movement: Movement
    error: WalletError


def decide(command: MovementCommand, book: Book) -> Posting | Refusal:
    """Decide one movement against the wallets as they are now; `book` is not changed.

    Raises WalletNotFound when the person has no open wallet: there is nothing to record it on.
    """
    wallet = book.of_user(command.user_id)
    if wallet is None:
        raise WalletNotFound
    match command:
        case Deposit():
            return _decide(Movement("deposit", wallet.id, None, command.money), None, wallet)
        case Withdraw():
            return _decide(Movement("withdrawal", wallet.id, None, command.money), wallet, None)
        case Transfer():
            recipient = book.by_id(command.to_wallet_id)
            # A system account is nobody's to pay into: to a caller it does not exist.
            if recipient is None or recipient.user_id is None:
                movement = Movement("transfer", wallet.id, None, command.money)
                return Refusal(movement, RecipientNotFound())
            movement = Movement("transfer", wallet.id, recipient.id, command.money)
            if recipient is wallet:
                return Refusal(movement, SelfTransfer())
            return _decide(movement, wallet, recipient)
        case _:
            assert_never(command)


def check_may_open(user_id: int, book: Book) -> None:
    """Raise WalletExists if the person has an open wallet."""
    if book.of_user(user_id) is not None:
        raise WalletExists


def check_may_close(user_id: int, book: Book) -> Account:
    """Return the person's wallet if it may be closed.

    Raises WalletNotFound, WalletFrozen or WalletNotEmpty.
    """
    wallet = book.of_user(user_id)
    if wallet is None:
        raise WalletNotFound
    if wallet.frozen:
        raise WalletFrozen
    if wallet.balance_minor != 0:
        raise WalletNotEmpty
    return wallet


def _decide(
    movement: Movement, source: Account | None, target: Account | None
) -> Posting | Refusal:
    """Move from `source` to `target`; None is the outside world, which can give and take all."""
    try:
        for account in (source, target):
            if account is not None:
                _check_takes_part(account, movement.money)
        debit = _change(source, -movement.money.minor)
        credit = _change(target, movement.money.minor)
    except WalletError as error:
        return Refusal(movement, error)
    return Posting(movement, debit, credit)


def _check_takes_part(account: Account, money: Money) -> None:
    if account.currency != money.currency:
        raise CurrencyMismatch
    if account.frozen:
        raise WalletFrozen


def _change(account: Account | None, change_minor: int) -> Side:
    if account is None:
        return Side(None, None)
    after = account.balance_minor + change_minor
    if change_minor < 0 and after < 0 and not account.may_go_negative:
        raise InsufficientFunds
    if after > MAX_MINOR:
        raise BalanceLimitExceeded
    return Side(account.id, after)
