"""Shapes of credits: what services send and are answered."""

from datetime import datetime
from typing import Annotated, Final, Self

from pydantic import AfterValidator, BaseModel, Field, WithJsonSchema
from pydantic.json_schema import SkipJsonSchema
from pydantic_core import PydanticCustomError

from core.assets import Asset
from core.commands import CreditType, Moved
from core.credits import CreditBalance, CreditEntry, CreditPage, CreditTransaction
from core.errors import FieldError, InvalidAmount, InvalidRequest
from core.history import EntryType, TransactionState
from core.money import written
from schemas.paging import PageQuery
from schemas.strict import MAX_ID, AsWholeNumber, CreditAmountIn, Id, StrictModel

USER_ID_CHARACTERS_LIMIT: Final = 128
KEY_CHARACTERS_LIMIT: Final = 255
_VISIBLE: Final = frozenset(map(chr, range(0x21, 0x7F)))


def _external_user_id(value: str) -> str:
    """Accept visible ASCII; a slash never comes so far, and dots alone are not a name in a path."""
    if not 1 <= len(value) <= USER_ID_CHARACTERS_LIMIT or not _VISIBLE.issuperset(value):
        raise PydanticCustomError("user_id", "must be 1 to 128 visible ASCII characters")
    if "/" in value or value in {".", ".."}:
        raise PydanticCustomError("user_id", "must hold no slash, and not be . or ..")
    return value


# What a parameter of a path is further made of.
AsExternalUserId: Final = AfterValidator(_external_user_id)
EXTERNAL_USER_ID_SCHEMA: Final = WithJsonSchema(
    {
        "type": "string",
        "minLength": 1,
        "maxLength": USER_ID_CHARACTERS_LIMIT,
        "pattern": r"^(?!\.{1,2}$)[!-.0-~]+$",
        "description": "The caller's own name for somebody: visible ASCII characters but the "
        "slash, and neither . nor .. alone.",
        "examples": ["user_alice"],
    }
)


CreditAmount = Annotated[
    int | float,
    WithJsonSchema({"type": "number", "description": "In whole units.", "examples": [20]}),
]
AssetId = Annotated[int, Field(examples=[1])]
ExternalUserIdOut = Annotated[str, Field(examples=["user_alice"])]


class CreditsIn(StrictModel):
    """How much of which asset; the key may come in the header instead, and is no part of it."""

    amount: CreditAmountIn
    asset_type_id: Annotated[Id, Field(examples=[1])]
    idempotency_key: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=KEY_CHARACTERS_LIMIT,
            pattern="^[!-~]+$",
            exclude=True,
            description="As `X-Idempotency-Key`; if both are sent, they must agree.",
        ),
    ] = None

    def minor_of(self, asset: Asset) -> int:
        """Return the amount in minor units. Raises InvalidRequest if the asset has none such."""
        try:
            return asset.parse(self.amount).minor
        except InvalidAmount as error:
            raise InvalidRequest([FieldError("amount", error.detail)]) from None


class CreditsQuery(PageQuery):
    """Which part of a list."""

    asset_type_id: Annotated[
        Annotated[int, Field(ge=1, le=MAX_ID)] | SkipJsonSchema[None],
        Field(description="Only this asset."),
        AsWholeNumber,
    ] = None

    def page(self, asset: Asset | None) -> CreditPage:
        """Say the same to the core; `asset` is the one with `asset_type_id`."""
        return CreditPage(limit=self.limit, offset=self.offset, cursor=self.cursor, asset=asset)


class AssetQuery(StrictModel):
    """Which asset."""

    asset_type_id: Annotated[int, Field(ge=1, le=MAX_ID, examples=[1]), AsWholeNumber]


class AssetOut(BaseModel):
    """Credits of one kind; amounts have at most `scale` decimals."""

    id: int
    code: Annotated[str, Field(examples=["GOLD"])]
    name: Annotated[str, Field(examples=["Gold Coins"])]
    scale: Annotated[int, Field(examples=[0])]

    @classmethod
    def of(cls, asset: Asset) -> "AssetOut":
        """Show an asset."""
        return cls(id=asset.id, code=asset.code, name=asset.name, scale=asset.scale)


class CreditBalanceOut(BaseModel):
    """What somebody holds of an asset; `account_id` is null while they never held any."""

    external_user_id: ExternalUserIdOut
    asset_type_id: AssetId
    balance: CreditAmount
    account_id: int | None

    @classmethod
    def of(cls, external_user_id: str, asset: Asset, found: CreditBalance) -> "CreditBalanceOut":
        """Show a balance."""
        return cls(
            external_user_id=external_user_id,
            asset_type_id=asset.id,
            balance=asset.to_wire(found.balance_minor),
            account_id=found.account_id,
        )


class CreditsMovedOut(BaseModel):
    """Credits that were given or taken; `new_balance` is what is held at the time of the answer."""

    transaction_id: int
    external_user_id: ExternalUserIdOut
    asset_type_id: AssetId
    type: CreditType
    amount: CreditAmount
    new_balance: CreditAmount
    created_at: datetime

    @classmethod
    def of(cls, external_user_id: str, asset: Asset, type_: CreditType, moved: Moved) -> Self:
        """Tell what moved."""
        return cls(
            transaction_id=moved.transaction_id,
            external_user_id=external_user_id,
            asset_type_id=asset.id,
            type=type_,
            amount=asset.to_wire(moved.money.minor),
            new_balance=asset.to_wire(moved.balance_minor),
            created_at=moved.created_at,
        )

    @classmethod
    def renewed(cls, body: str, asset: Asset, found: CreditBalance) -> str:
        """Return the text of an earlier answer with what is held now."""
        told = cls.model_validate_json(body)
        told.new_balance = asset.to_wire(found.balance_minor)
        return told.model_dump_json()


class CreditTransactionOut(BaseModel):
    """An attempt to give somebody credits or to take them."""

    id: int
    type: CreditType
    state: TransactionState
    failure_code: str | None
    asset_type_id: AssetId
    amount: CreditAmount
    created_at: datetime

    @classmethod
    def of(cls, found: CreditTransaction) -> "CreditTransactionOut":
        """Show one line."""
        return cls.model_construct(
            id=found.id,
            type=found.type,
            state=found.state,
            failure_code=found.failure_code,
            asset_type_id=found.asset_id,
            amount=written(found.amount_minor, found.scale),
            created_at=found.created_at,
        )


class CreditTransactionsOut(BaseModel):
    """A page of somebody's transactions, newest first."""

    transactions: list[CreditTransactionOut]
    limit: int
    offset: int
    next_cursor: Annotated[str | None, Field(description="Null at the end.")]


class CreditEntryOut(BaseModel):
    """One entry on somebody's account: `amount` is negative for what was taken, and `balance` what
    was held right after it. The amounts of an account add up to its balance.
    """

    id: int
    transaction_id: int
    account_id: int
    type: CreditType
    entry_type: EntryType
    asset_type_id: AssetId
    amount: CreditAmount
    balance: CreditAmount
    created_at: datetime

    @classmethod
    def of(cls, found: CreditEntry) -> "CreditEntryOut":
        """Show one line."""
        return cls.model_construct(
            id=found.id,
            transaction_id=found.transaction_id,
            account_id=found.account_id,
            type=found.type,
            entry_type=found.entry_type,
            asset_type_id=found.asset_id,
            amount=written(found.signed_minor, found.scale),
            balance=written(found.balance_minor, found.scale),
            created_at=found.created_at,
        )


class CreditLedgerOut(BaseModel):
    """A page of the entries on somebody's accounts, newest first."""

    entries: list[CreditEntryOut]
    limit: int
    offset: int
    next_cursor: Annotated[str | None, Field(description="Null at the end.")]
