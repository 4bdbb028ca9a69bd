"""Shapes of people's API keys."""

from datetime import datetime
from typing import Annotated, Final, Literal, cast

from pydantic import AfterValidator, BaseModel, Field
from pydantic_core import PydanticCustomError

from core.api_keys import LIFETIMES, KeyView, MadeKey, NewKey, Permission
from core.own_keys import Rollover
from schemas.accounts import AccountName
from schemas.strict import Id, StrictModel

Expiry = Annotated[
    Literal["1H", "1D", "1M", "1Y"],
    Field(description="An hour, a day, 30 days or 365 days from now.", examples=["1D"]),
]
KeyPermission = Literal["read", "deposit", "transfer"]
KeyName = Annotated[
    AccountName, Field(description="What you call it, for yourself alone.", examples=["My shop"])
]
KeyId = Annotated[int, Field(examples=[1])]
Permissions = Annotated[list[KeyPermission], Field(examples=[["read", "transfer"]])]

_IN_ORDER: Final[tuple[KeyPermission, ...]] = ("read", "deposit", "transfer")


def _each_once(value: list[KeyPermission]) -> list[KeyPermission]:
    if len(set(value)) != len(value):
        raise PydanticCustomError("permissions", "must name each permission once")
    return value


class CreateKeyIn(StrictModel):
    """The key to make."""

    name: KeyName
    permissions: Annotated[
        list[KeyPermission],
        Field(
            min_length=1,
            max_length=len(_IN_ORDER),
            description="`read`: balance and transactions; `deposit`: paying in; `transfer`: "
            "sending money and paying it out.",
            examples=[["read", "transfer"]],
            json_schema_extra={"uniqueItems": True},
        ),
        AfterValidator(_each_once),
    ]
    expiry: Expiry

    def new_key(self, prefix: str) -> NewKey:
        """Say the same to the core."""
        return NewKey(
            name=self.name,
            permissions=frozenset(map(Permission, self.permissions)),
            lifetime=LIFETIMES[self.expiry],
            prefix=prefix,
        )


class RollOverIn(StrictModel):
    """Which expired key to replace, and how long the new one lasts."""

    expired_key_id: Annotated[Id, Field(examples=[1])]
    expiry: Expiry

    def rollover(self, prefix: str) -> Rollover:
        """Say the same to the core."""
        return Rollover(
            expired_key_id=self.expired_key_id, lifetime=LIFETIMES[self.expiry], prefix=prefix
        )


class MadeKeyOut(BaseModel):
    """A key just made; it is shown only here."""

    api_key: Annotated[
        str,
        Field(
            description="Send it as `x-api-key`. It is kept nowhere and cannot be shown again.",
            examples=["sk_test_1_…"],
        ),
    ]
    id: KeyId
    name: KeyName
    permissions: Permissions
    expires_at: datetime

    @classmethod
    def of(cls, made: MadeKey) -> "MadeKeyOut":
        """Show a key that was just made to its owner."""
        return cls.model_construct(
            api_key=made.text,
            id=made.id,
            name=made.name,
            permissions=_in_order(made.permissions),
            # Only the house has keys that never end.
            expires_at=cast(datetime, made.expires_at),
        )


class KeyOut(BaseModel):
    """A key as its owner sees it from then on."""

    id: KeyId
    prefix: Annotated[str, Field(description="What the key begins with.", examples=["sk_test_1"])]
    name: KeyName
    permissions: Permissions
    active: Annotated[bool, Field(description="Neither expired nor revoked.")]
    created_at: datetime
    expires_at: datetime
    last_used_at: Annotated[
        datetime | None, Field(description="To the minute; null if never.", examples=[None])
    ]
    revoked_at: Annotated[datetime | None, Field(examples=[None])]

    @classmethod
    def of(cls, key: KeyView, prefix: str) -> "KeyOut":
        """Show a key to its owner; `prefix` is that of this environment."""
        return cls.model_construct(
            id=key.id,
            prefix=f"{prefix}_{key.id}",
            name=key.name,
            permissions=_in_order(key.permissions),
            active=key.active,
            created_at=key.created_at,
            expires_at=cast(datetime, key.expires_at),
            last_used_at=key.last_used_at,
            revoked_at=key.revoked_at,
        )


class RevokedKeyOut(BaseModel):
    """A key that opens nothing any more."""

    id: KeyId
    revoked_at: datetime

    @classmethod
    def of(cls, key: KeyView) -> "RevokedKeyOut":
        """Tell its owner since when; the same however often it is revoked."""
        return cls.model_construct(id=key.id, revoked_at=cast(datetime, key.revoked_at))


class KeysOut(BaseModel):
    """A page of one's keys, newest first."""

    keys: list[KeyOut]
    limit: int
    offset: int
    next_cursor: Annotated[str | None, Field(description="Null at the end.")]


def _in_order(permissions: frozenset[Permission]) -> list[KeyPermission]:
    return [name for name in _IN_ORDER if name in permissions]
