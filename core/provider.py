"""What a payment provider is to the wallet; `integrations.paystack` is one."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from core.money import Money
from core.payment_commands import BankAccount, PaymentKind

# `abandoned` is a deposit that nobody has paid or is paying, and still may; `pending` is all else
# that has not come to an end.
Verdict = Literal["success", "failed", "reversed", "abandoned", "pending"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What the provider says of a payment; `word` is its own word for the verdict."""

    verdict: Verdict
    word: str
    reference: str
    money: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkout:
    """Where a person pays."""

    authorization_url: str
    access_code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bank:
    """A bank that can be paid out to, by the provider's code."""

    name: str
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What a message of the provider's, surely its own, is about; nothing else in it is believed.

    `claim` tells what to expect, so that what is known already need not be asked.
    """

    reference: str
    claim: Verdict


class ProviderRefused(Exception):
    """The provider understood and will not do it. `code` is its own word for why."""

    def __init__(self, code: str):
        self.code = code
        super().__init__(f"The provider refused: {code}.")


class ReferenceKnown(ProviderRefused):
    """The provider has something of this reference: what it was asked for before is done."""


class PaymentProvider(Protocol):
    """Asks a provider. Everything may raise ProviderUnavailable: then nobody knows what was done.

    Amounts are in minor units. Nothing but what only looks is tried twice.
    """

    def currencies(self, kind: PaymentKind) -> Collection[str]:
        """Return the currencies of deposits, or of payouts."""

    async def open_checkout(self, *, reference: str, money: Money, email: str) -> Checkout:
        """Begin a deposit under our reference. Raises ProviderRefused or ReferenceKnown."""

    async def verify_deposit(self, reference: str) -> Report | None:
        """Return how a deposit stands, None if there is none of this reference."""

    async def list_banks(self, currency: str) -> Sequence[Bank]:
        """Return the banks that can be paid out to in this currency."""

    async def resolve_account(self, account: BankAccount) -> str:
        """Return whose account this is. Raises ProviderRefused if there is no such account."""

    async def make_recipient(self, account: BankAccount, *, name: str, currency: str) -> str:
        """Return the provider's code of an account; the same one each time it is asked for."""

    async def pay_out(self, *, reference: str, recipient_code: str, money: Money) -> Report:
        """Begin a payout under our reference. Raises ProviderRefused or ReferenceKnown."""

    async def verify_payout(self, reference: str) -> Report | None:
        """Return how a payout stands, None if there is none of this reference."""

    async def close(self) -> None:
        """Let go of connections."""
