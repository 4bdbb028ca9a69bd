"""The rules of money, pure: a command and the wallets in, balanced entries or a refusal out.

Nothing here reads a clock, a database or a setting. `core.ledger` locks the wallets, asks `decide`
for each command in turn, and writes what was decided.
"""

from typing import Final, NamedTuple

from core.account_errors import (
    AccountNotFound,
    AssetNotTransferable,
    AssetNotWithdrawable,
    CreditUserNotFound,
    TooManyAccounts,
)
from core.book import Account, Book, Side
from core.commands import (
    INCOMING,
    AccountNumber,
    CloseWallet,
    CreditsOf,
    Move,
    OpenAccount,
    OpenWallet,
    Primary,
    Reference,
    TransactionType,
)
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
from core.payment_errors import PaymentUnderWay

OPEN_ACCOUNTS_LIMIT: Final = 100
# As far below zero as a BIGINT can stand without a movement that would overflow it.
LOWEST_MINOR: Final = -(2**63 - 1) + MAX_MINOR


class Movement(NamedTuple):
    """What is attempted, alone or with another wallet."""

    type: TransactionType
    wallet_id: int
    counterparty_wallet_id: int | None
    money: Money
    description: str | None = None
    ends_payment: bool = False


class Posting(NamedTuple):
    """A movement that was accepted: its two entries, equal in amount and currency."""

    movement: Movement
    debit: Side
    credit: Side


class Refusal(NamedTuple):
    """A movement that an existing wallet attempted in vain; recorded as FAILED."""

    movement: Movement
    error: WalletError


def decide(move: Move, book: Book) -> Posting | Refusal:
    """Decide one movement against the wallets as they are now; `book` is not changed.

    Raises WalletNotFound, AccountNotFound or CreditUserNotFound when there is no account that it
    is asked of, and so nothing to record it on; InsufficientFunds for credits one never had.
    """
    own = book.find(move.own)
    if own is None:
        raise _missing(move.own, book)
    other = None
    if move.other is not None:
        other = book.find(move.other)
        if other is None:
            movement = Movement(move.type, own.id, None, move.money, move.description)
            return Refusal(movement, RecipientNotFound())
    other_id = None if other is None else other.id
    movement = Movement(
        move.type, own.id, other_id, move.money, move.description, move.ends_payment
    )
    if other is own:
        return Refusal(movement, SelfTransfer())
    if move.type in INCOMING:
        return _decide(movement, other, own)
    return _decide(movement, own, other)


def check_may_open(command: OpenWallet | OpenAccount, book: Book) -> None:
    """Raise WalletExists for a second primary wallet, TooManyAccounts for one account too many."""
    if isinstance(command, OpenWallet) and book.find(Primary(command.user_id)) is not None:
        raise WalletExists
    if book.open_accounts[command.user_id] >= OPEN_ACCOUNTS_LIMIT:
        raise TooManyAccounts


def check_may_close(command: CloseWallet, book: Book) -> Account:
    """Return the account if it may be closed.

    Raises WalletNotFound or AccountNotFound, WalletFrozen, WalletNotEmpty, or PaymentUnderWay.
    """
    wallet = book.find(command.wallet)
    if wallet is None:
        raise _missing(command.wallet, book)
    if wallet.frozen:
        raise WalletFrozen
    if wallet.balance_minor != 0:
        raise WalletNotEmpty
    if book.pending_payments[wallet.id] > 0:
        raise PaymentUnderWay
    return wallet


def _missing(reference: Reference, book: Book) -> WalletError:
    """Return what to tell whoever acts on an account that is not there."""
    match reference:
        case AccountNumber():
            return AccountNotFound()
        case CreditsOf():
            # Who is known has nothing of this kind yet.
            known = reference.external_user_id in book.holders
            return InsufficientFunds() if known else CreditUserNotFound()
        case _:
            return WalletNotFound()


def _decide(
    movement: Movement, source: Account | None, target: Account | None
) -> Posting | Refusal:
    """Move from `source` to `target`; None is the outside world, which can give and take all."""
    try:
        for account in (source, target):
            if account is not None:
                _check_takes_part(account, movement)
        debit = _change(source, -movement.money.minor)
        credit = _change(target, movement.money.minor)
    except WalletError as error:
        return Refusal(movement, error)
    return Posting(movement, debit, credit)


def _check_takes_part(account: Account, movement: Movement) -> None:
    if account.currency != movement.money.currency:
        raise CurrencyMismatch
    outside = movement.counterparty_wallet_id is None or movement.type == "payout"
    if outside and not account.withdrawable:
        raise AssetNotWithdrawable
    if movement.type == "transfer" and not account.transferable:
        raise AssetNotTransferable
    if account.frozen and not movement.ends_payment:
        raise WalletFrozen


def _change(account: Account | None, change_minor: int) -> Side:
    if account is None:
        return Side(None, None)
    after = account.balance_minor + change_minor
    if change_minor < 0 and after < 0 and not account.may_go_negative:
        raise InsufficientFunds
    if after > MAX_MINOR or after < LOWEST_MINOR:
        raise BalanceLimitExceeded
    return Side(account.id, after)
