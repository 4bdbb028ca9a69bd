"""Shapes of transfers between accounts."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field

from core.commands import Move, Moved, Refused, transfer_between
from core.history import TransactionState
from core.money import to_wire
from core.public_ids import Kind, make_public_id
from core.transfers import TransferView
from schemas.accounts import Description, TransferId
from schemas.problem import problem_body
from schemas.strict import AccountNumberText, MoneyIn
from schemas.wallets import Amount

ToAccount = Annotated[AccountNumberText, Field(examples=["530172648913"])]


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


def transfer_problem(refused: Refused, request_id: str) -> str:
    """Return the JSON text that tells why a transfer was refused, and under which id it is kept."""
    if refused.transaction_id is None:
        return problem_body(refused.error, request_id)
    transfer_id = make_public_id(Kind.TRANSFER, refused.transaction_id, refused.created_at)
    return problem_body(refused.error, request_id, transfer_id=transfer_id)
