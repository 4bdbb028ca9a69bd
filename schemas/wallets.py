"""Shapes of wallets."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema, field_validator
from pydantic_core.core_schema import ValidationInfo

from core.commands import Opened
from core.errors import FieldError, InvalidAmount, InvalidRequest
from core.money import Money, parse_minor, to_wire
from core.wallets import OwnWallet
from schemas.strict import (
    AccountNumberText,
    BalanceIn,
    Currency,
    StrictModel,
    UnscaledAmountIn,
    checked_amount,
)

Amount = Annotated[
    int | float,
    WithJsonSchema({"type": "number", "description": "In major units.", "examples": [700.5]}),
]


class WalletAmountIn(StrictModel):
    """An amount above zero, in the currency of the caller's wallet."""

    amount: UnscaledAmountIn

    def money_in(self, currency: str) -> Money:
        """Return the amount in minor units. Raises InvalidRequest if it is none in `currency`."""
        try:
            return Money(parse_minor(self.amount, currency), currency)
        except InvalidAmount as error:
            raise InvalidRequest([FieldError("amount", error.detail)]) from None


class OpenWalletIn(StrictModel):
    """The wallet to open."""

    currency: Currency
    balance: BalanceIn = "0"

    @field_validator("balance")
    @classmethod
    def _check_balance(cls, value: str, info: ValidationInfo) -> str:
        return checked_amount(value, info.data.get("currency"), zero_allowed=True)

    @property
    def opening(self) -> Money:
        """The opening balance in minor units."""
        return Money(parse_minor(self.balance, self.currency), self.currency)


class WalletOut(BaseModel):
    """A wallet just opened."""

    id: int
    user_id: int
    wallet_number: Annotated[str, Field(examples=["482915736045"])]
    balance: Amount
    currency: str
    created_at: datetime

    @classmethod
    def of(cls, opened: Opened) -> "WalletOut":
        """Show a wallet that was just opened."""
        return cls(
            id=opened.wallet_id,
            user_id=opened.user_id,
            wallet_number=opened.wallet_number,
            balance=to_wire(opened.balance.minor, opened.balance.currency),
            currency=opened.balance.currency,
            created_at=opened.created_at,
        )


class WalletDetails(WalletOut):
    """A wallet as its owner sees it."""

    model_config = ConfigDict(populate_by_name=True)

    updated_at: datetime
    full_name: Annotated[str, Field(alias="full name", examples=["Jane Doe"])]

    @classmethod
    def of_owner(cls, wallet: OwnWallet) -> "WalletDetails":
        """Show a wallet to its owner."""
        return cls(
            id=wallet.id,
            user_id=wallet.user_id,
            wallet_number=wallet.wallet_number,
            balance=to_wire(wallet.balance.minor, wallet.balance.currency),
            currency=wallet.balance.currency,
            created_at=wallet.created_at,
            updated_at=wallet.updated_at,
            full_name=wallet.owner_name,
        )


class WalletBalanceOut(BaseModel):
    """What a wallet holds."""

    balance: Amount
    currency: str
    wallet_number: AccountNumberText

    @classmethod
    def of(cls, wallet: OwnWallet) -> "WalletBalanceOut":
        """Show the balance to whoever may see it."""
        return cls.model_construct(
            balance=to_wire(wallet.balance.minor, wallet.balance.currency),
            currency=wallet.balance.currency,
            wallet_number=wallet.wallet_number,
        )


class Message(BaseModel):
    """A sentence about what was done."""

    message: str
