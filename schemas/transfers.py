"""Shapes of transfers between accounts."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from core.commands import Move, Moved, Refused, transfer_between
from core.history import TransactionState
from core.money import to_wire
from core.public_ids import Kind, make_public_id
from core.transfers import TransferView
from core.wallets import OwnWallet
from schemas.accounts import Description, TransferId
from schemas.problem import problem_body
from schemas.strict import AccountNumberText, MoneyIn
from schemas.wallets import Amount, WalletAmountIn

ToAccount = Annotated[AccountNumberText, Field(examples=["530172648913"])]

_RECIPIENT: Final = "recipient_wallet_number"
_RECIPIENT_TOO: Final = "wallet_number"


class AccountTransferIn(MoneyIn):
    """From which account of one's own to which, and how much."""

    from_account: AccountNumberText
    to_account: ToAccount
    description: Annotated[
        Description | None,
        Field(description="What it is for; both parties see it.", examples=["Rent"]),
    ] = None

    def command(self, user_id: int) -> Move:
        """Say the same to the core, as this person."""
        return transfer_between(
            user_id=user_id,
            from_number=self.from_account,
            to_number=self.to_account,
            money=self.money,
            description=self.description,
        )


class AccountTransferOut(BaseModel):
    """A transfer as either party sees it."""

    id: TransferId
    state: TransactionState
    failure_code: Annotated[str | None, Field(description="Why it failed.", examples=[None])]
    from_account: AccountNumberText
    to_account: Annotated[
        ToAccount | None, Field(description="Null if it failed for naming no account there is.")
    ]
    amount: Amount
    currency: str
    description: Annotated[str | None, Field(examples=["Rent"])]
    created_at: datetime

    @classmethod
    def of_moved(cls, moved: Moved, asked: AccountTransferIn) -> "AccountTransferOut":
        """Show a transfer that was just made to who asked for it."""
        return cls.model_construct(
            id=make_public_id(Kind.TRANSFER, moved.transaction_id, moved.created_at),
            state="SUCCESS",
            failure_code=None,
            from_account=asked.from_account,
            to_account=asked.to_account,
            amount=to_wire(moved.money.minor, moved.money.currency),
            currency=moved.money.currency,
            description=asked.description,
            created_at=moved.created_at,
        )

    @classmethod
    def of(cls, transfer: TransferView) -> "AccountTransferOut":
        """Show a transfer to a party of it."""
        return cls.model_construct(
            id=make_public_id(Kind.TRANSFER, transfer.id, transfer.created_at),
            state=transfer.state,
            failure_code=transfer.failure_code,
            from_account=transfer.from_number,
            to_account=transfer.to_number,
            amount=to_wire(transfer.money.minor, transfer.money.currency),
            currency=transfer.money.currency,
            description=transfer.description,
            created_at=transfer.created_at,
        )


def _document_both_names(schema: dict[str, Any]) -> None:
    """Say in JSON Schema that the recipient is named by one of two names."""
    named = schema["properties"][_RECIPIENT]
    other = {key: value for key, value in named.items() if key not in {"title", "examples"}}
    schema["properties"][_RECIPIENT_TOO] = other | {"description": f"The same as `{_RECIPIENT}`."}
    schema["required"].remove(_RECIPIENT)
    schema["oneOf"] = [{"required": [_RECIPIENT]}, {"required": [_RECIPIENT_TOO]}]


class WalletTransferIn(WalletAmountIn):
    """To which wallet, by either of two names for its number, and how much."""

    model_config = ConfigDict(json_schema_extra=_document_both_names)

    recipient_wallet_number: ToAccount

    @model_validator(mode="before")
    @classmethod
    def _read_either_name(cls, sent: Any) -> Any:
        """Take one name for the other, so that requests that mean the same are the same."""
        if not isinstance(sent, dict) or _RECIPIENT_TOO not in sent:
            return sent
        if _RECIPIENT in sent:
            raise PydanticCustomError(
                "two_recipients",
                "must name the recipient once, as `recipient_wallet_number` or `wallet_number`",
            )
        return {_RECIPIENT if name == _RECIPIENT_TOO else name: sent[name] for name in sent}

    def command(self, wallet: OwnWallet) -> Move:
        """Say the same to the core, from this wallet. Raises InvalidRequest."""
        return transfer_between(
            user_id=wallet.user_id,
            from_number=wallet.wallet_number,
            to_number=self.recipient_wallet_number,
            money=self.money_in(wallet.balance.currency),
        )


class WalletTransferOut(BaseModel):
    """A transfer that was made."""

    transaction_id: Annotated[
        str,
        Field(
            pattern="^txn_[1-9][0-9]*$",
            description="`txn_` and the transaction's id, as `GET /wallet/transactions` lists it.",
            examples=["txn_3"],
        ),
    ]
    status: Literal["success"] = "success"
    amount: Amount
    recipient_wallet: ToAccount

    @classmethod
    def of(cls, moved: Moved, asked: WalletTransferIn) -> "WalletTransferOut":
        """Tell who asked for it."""
        return cls.model_construct(
            transaction_id=f"txn_{moved.transaction_id}",
            status="success",
            amount=to_wire(moved.money.minor, moved.money.currency),
            recipient_wallet=asked.recipient_wallet_number,
        )


def transfer_problem(refused: Refused, request_id: str) -> str:
    """Return the JSON text that tells why a transfer was refused, and under which id it is kept."""
    if refused.transaction_id is None:
        return problem_body(refused.error, request_id)
    transfer_id = make_public_id(Kind.TRANSFER, refused.transaction_id, refused.created_at)
    return problem_body(refused.error, request_id, transfer_id=transfer_id)
