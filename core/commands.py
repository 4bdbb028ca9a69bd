"""What can be asked of the ledger, and what it answers; plain values that decide nothing.

What each transfer makes is a named tuple: a frozen dataclass takes twice as long to make.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, NamedTuple

from core.assets import Asset
from core.errors import WalletError
from core.money import Money
from core.payment_commands import (
    CreditDeposit,
    EndPayment,
    PaymentBooking,
    PaymentCommand,
    PaymentEnded,
    PaymentStarted,
    ReversePayout,
    StartPayment,
)
from core.references import (
    AccountNumber,
    AllOf,
    CreditsOf,
    InTransit,
    Named,
    Primary,
    Reference,
    Treasury,
    WalletId,
)

# What other modules take from here although it is defined elsewhere.
__all__ = (
    "AccountNumber",
    "AllOf",
    "CreditDeposit",
    "CreditsOf",
    "EndPayment",
    "InTransit",
    "Named",
    "PaymentBooking",
    "PaymentEnded",
    "PaymentStarted",
    "Primary",
    "Reference",
    "ReversePayout",
    "StartPayment",
    "Treasury",
    "WalletId",
)

TransactionType = Literal[
    "deposit",
    "withdrawal",
    "transfer",
    "top_up",
    "bonus",
    "spend",
    "payout",
    "payout_settled",
    "payout_returned",
    "payout_reversed",
]
CreditType = Literal["top_up", "bonus", "spend"]


class Move(NamedTuple):
    """Move `money` between the account that it is asked of, `own`, and another one.

    Without `other` that is the outside world. The type tells the direction: see INCOMING.
    `ends_payment` is set on what ends a payment that began before: no freeze holds that up.
    """

    type: TransactionType
    own: Reference
    other: Reference | None
    money: Money
    description: str | None = None
    ends_payment: bool = False

    @property
    def references(self) -> Iterable[Named]:
        """The accounts it names."""
        return (self.own,) if self.other is None else (self.own, self.other)


# What adds to the account that it is asked of; everything else takes from it.
INCOMING: Final = frozenset[TransactionType](
    {"deposit", "top_up", "bonus", "payout_returned", "payout_reversed"}
)
# What makes the accounts it names, if they are not there.
ISSUING: Final = frozenset[TransactionType]({"top_up", "bonus"})


def deposit(*, user_id: int, money: Money) -> Move:
    """Move `money` from the outside world into the person's primary wallet."""
    return Move("deposit", Primary(user_id), None, money)


def withdraw(*, user_id: int, money: Money) -> Move:
    """Move `money` from the person's primary wallet to the outside world."""
    return Move("withdrawal", Primary(user_id), None, money)


def transfer(*, user_id: int, to_wallet_id: int, money: Money) -> Move:
    """Move `money` from the person's primary wallet to another one."""
    return Move("transfer", Primary(user_id), WalletId(to_wallet_id), money)


def transfer_between(
    *,
    user_id: int,
    from_number: str,
    to_number: str,
    money: Money,
    description: str | None = None,
) -> Move:
    """Move `money` from an account of the person to another account, theirs or not."""
    own, other = AccountNumber(from_number, user_id), AccountNumber(to_number)
    return Move("transfer", own, other, money, description)


def move_credits(
    type_: CreditType,
    *,
    external_user_id: str,
    asset: Asset,
    minor: int,
    description: str | None = None,
) -> Move:
    """Give credits to somebody (top_up, bonus) or take them back (spend).

    Whoever is given some for the first time has an account from then on.
    """
    money = Money(minor, asset.code)
    return Move(type_, CreditsOf(external_user_id, asset), Treasury(asset), money, description)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenWallet:
    """Open the person's primary wallet; an opening balance above zero is posted as a deposit."""

    user_id: int
    opening: Money

    @property
    def references(self) -> Iterable[Named]:
        """The accounts it is decided on."""
        return (AllOf(self.user_id),)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAccount:
    """Open another, empty account of the person, in `currency`."""

    user_id: int
    currency: str
    name: str | None = None

    @property
    def references(self) -> Iterable[Named]:
        """The accounts it is decided on."""
        return (AllOf(self.user_id),)


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseWallet:
    """Close an account, which must be empty. Its history stays."""

    wallet: Primary | AccountNumber

    @property
    def references(self) -> Iterable[Named]:
        """The account it names."""
        return (self.wallet,)


Command = Move | OpenWallet | OpenAccount | CloseWallet | PaymentCommand


class Moved(NamedTuple):
    """Money moved; `balance_minor` is the acting wallet's balance right after."""

    transaction_id: int
    wallet_id: int
    counterparty_wallet_id: int | None
    money: Money
    balance_minor: int
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A wallet was opened."""

    wallet_id: int
    user_id: int
    wallet_number: str
    balance: Money
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """A wallet was closed."""

    wallet_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Nothing was done. What was recorded as FAILED has a `transaction_id`."""

    error: WalletError
    transaction_id: int | None
    created_at: datetime


Outcome = Moved | Opened | Closed | PaymentStarted | PaymentEnded | Refused


class Rendered(NamedTuple):
    """An answer as it goes over the wire: HTTP status and JSON text."""

    status: int
    body: str


# The principal that stands for operators' keys; no person has this id.
HOUSE: Final = 0


class Attempt(NamedTuple):
    """A command of one principal under one idempotency key.

    The principal is a person, or the HOUSE for a key of an operator's. `fingerprint` is the SHA-256
    of the request in canonical form: the same key with another fingerprint is refused. `render`
    words the outcome; its text is stored with the money, so that a repeated request gets the very
    same answer. It must not fail and must not wait.
    """

    principal_id: int
    key: str
    fingerprint: bytes
    command: Command
    render: Callable[[Outcome], Rendered]


class Answer(NamedTuple):
    """The rendered answer to an attempt; `replayed` when an earlier attempt earned it.

    `failure_code` tells why an attempt that was decided just now was refused; None if it was not.
    """

    status: int
    body: str
    replayed: bool
    failure_code: str | None = None


# How an attempt ended: answered, or not decided at all.
Settled = Answer | WalletError
