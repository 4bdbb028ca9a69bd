"""What can be asked of the ledger about payments: money that a provider takes in or pays out.

A payment begins as PROCESSING and ends once, as SUCCESS or FAILED. A deposit has no entries until
it succeeds. A payout leaves the wallet when it begins and is in transit until it ends: then it goes
to the outside world, or back.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from core.money import Money
from core.references import InTransit, Named, Primary, WalletId

PaymentKind = Literal["deposit", "payout"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BankAccount:
    """An account at a bank, by the provider's code of the bank and the account's number there."""

    bank_code: str
    number: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """What never changes about a payment; `reference` is ours, and the provider's name for it.

    `transaction_id` is what it began with.
    """

    reference: str
    kind: PaymentKind
    transaction_id: int
    wallet_id: int
    money: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class StartPayment:
    """Begin to take `money` in for the person's primary wallet, or to pay it out to `bank`."""

    kind: PaymentKind
    user_id: int
    reference: str
    money: Money
    bank: BankAccount | None = None

    @property
    def references(self) -> Iterable[Named]:
        """The accounts it names."""
        own = Primary(self.user_id)
        return (own,) if self.kind == "deposit" else (own, InTransit(self.money.currency))


@dataclass(frozen=True, slots=True, kw_only=True)
class EndPayment:
    """End a payment: as SUCCESS, or as FAILED for the reason `failure_code`."""

    payment: Payment
    failure_code: str | None = None

    @property
    def references(self) -> Iterable[Named]:
        """The accounts it names."""
        own = WalletId(self.payment.wallet_id)
        if self.payment.kind == "deposit":
            return (own,)
        return (own, InTransit(self.payment.money.currency))


@dataclass(frozen=True, slots=True, kw_only=True)
class ReversePayout:
    """Take in again what a payout that had succeeded brings back."""

    payment: Payment

    @property
    def references(self) -> Iterable[Named]:
        """The account it names."""
        return (WalletId(self.payment.wallet_id),)


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditDeposit:
    """Credit a deposit that was paid after it had failed, by a movement of its own."""

    payment: Payment

    @property
    def references(self) -> Iterable[Named]:
        """The account it names."""
        return (WalletId(self.payment.wallet_id),)


# What books money that is out there already: if it is refused, it must be tried again.
PaymentBooking = EndPayment | ReversePayout | CreditDeposit
PaymentCommand = StartPayment | PaymentBooking


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentStarted:
    """A payment began."""

    payment: Payment


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentEnded:
    """A payment ended just now, for the reason `failure_code` if it failed."""

    payment: Payment
    failure_code: str | None
