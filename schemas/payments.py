"""Shapes of deposits and payouts by a provider."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field, StringConstraints

from core.commands import PaymentStarted, StartPayment
from core.money import to_wire
from core.payment_commands import BankAccount
from core.payment_rows import PaymentState, PaymentView, new_reference
from core.provider import Bank, Checkout
from schemas.strict import Currency, StrictModel
from schemas.wallets import Amount, WalletAmountIn

BankCode = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9-]{2,20}$"), Field(examples=["058"])
]
AccountNumberAtBank = Annotated[
    str, StringConstraints(pattern=r"^[0-9]{5,20}$"), Field(examples=["0123456789"])
]
PaymentReference = Annotated[
    str,
    StringConstraints(pattern=r"^(dep|pay)-[0-9a-f]{32}$"),
    Field(examples=["dep-3f0f6c1e8f0a4d5c9b7a2e1d4c3b2a19"]),
]


class DepositIn(WalletAmountIn):
    """How much to pay in, in the wallet's currency."""

    def command(self, user_id: int, currency: str) -> StartPayment:
        """Return what is asked of the ledger. Raises InvalidRequest."""
        return StartPayment(
            kind="deposit",
            user_id=user_id,
            reference=new_reference("deposit"),
            money=self.money_in(currency),
        )


class AccountQuery(StrictModel):
    """Which account at which bank."""

    bank_code: BankCode
    account_number: AccountNumberAtBank

    @property
    def account(self) -> BankAccount:
        """The account."""
        return BankAccount(bank_code=self.bank_code, number=self.account_number)


class PayoutIn(DepositIn, AccountQuery):
    """How much to pay out, and to which account at which bank."""

    def command(self, user_id: int, currency: str) -> StartPayment:
        """Return what is asked of the ledger. Raises InvalidRequest."""
        return StartPayment(
            kind="payout",
            user_id=user_id,
            reference=new_reference("payout"),
            money=self.money_in(currency),
            bank=self.account,
        )


class PaymentBegun(BaseModel):
    """What the ledger answers; the rest follows from asking the provider."""

    reference: str

    @classmethod
    def of(cls, started: PaymentStarted) -> "PaymentBegun":
        """Name the payment that began."""
        return cls(reference=started.payment.reference)


class DepositOut(BaseModel):
    """Where to pay."""

    reference: PaymentReference
    authorization_url: Annotated[
        str, Field(examples=["https://checkout.paystack.com/3ni8kdavz62431k"])
    ]
    access_code: Annotated[str, Field(examples=["3ni8kdavz62431k"])]

    @classmethod
    def of(cls, reference: str, checkout: Checkout) -> "DepositOut":
        """Tell where to pay."""
        return cls(
            reference=reference,
            authorization_url=checkout.authorization_url,
            access_code=checkout.access_code,
        )


class PaymentOut(BaseModel):
    """How a deposit or payout stands."""

    reference: PaymentReference
    kind: Literal["deposit", "payout"]
    state: PaymentState
    status: Annotated[
        Literal["pending", "success", "failed"], Field(description="The state in other words.")
    ]
    amount: Amount
    currency: str
    transaction_id: int
    failure_code: Annotated[str | None, Field(description="Why it failed.")]
    provider_status: Annotated[
        str | None,
        Field(
            description="Paystack's last word on a payout that is under way; `otp`: the operator "
            "must confirm it with Paystack, who gives it up after 30 minutes."
        ),
    ]
    reversed: Annotated[bool, Field(description="It came back after it had arrived.")]
    created_at: datetime
    ended_at: datetime | None

    @classmethod
    def of(cls, view: PaymentView) -> "PaymentOut":
        """Show a payment to whose wallet it is of."""
        money, state = view.payment.money, view.state
        return cls(
            reference=view.payment.reference,
            kind=view.payment.kind,
            state=state,
            status=_STATUSES[state],
            amount=to_wire(money.minor, money.currency),
            currency=money.currency,
            transaction_id=view.payment.transaction_id,
            failure_code=view.failure_code,
            provider_status=view.provider_status if state == "PROCESSING" else None,
            reversed=view.is_reversed,
            created_at=view.created_at,
            ended_at=view.ended_at,
        )


_STATUSES: dict[PaymentState, Literal["pending", "success", "failed"]] = {
    "PROCESSING": "pending",
    "SUCCESS": "success",
    "FAILED": "failed",
}


class WebhookOut(BaseModel):
    """What the provider is told: that it need not send this again."""

    status: Literal[True] = True


class BanksQuery(StrictModel):
    """Whose banks."""

    currency: Currency = "NGN"


class BankOut(BaseModel):
    """A bank that can be paid out to."""

    name: Annotated[str, Field(examples=["Guaranty Trust Bank"])]
    code: BankCode

    @classmethod
    def of(cls, bank: Bank) -> "BankOut":
        """Show a bank."""
        return cls(name=bank.name, code=bank.code)


class BanksOut(BaseModel):
    """The banks that can be paid out to in a currency."""

    banks: list[BankOut]


class BankAccountOut(BaseModel):
    """Whose account it is, as the bank says."""

    bank_code: BankCode
    account_number: AccountNumberAtBank
    account_name: Annotated[str, Field(examples=["JANE DOE"])]
