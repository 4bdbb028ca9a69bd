"""The types that requests are made of: strict, so that nothing is ever guessed or converted."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
    field_validator,
)
from pydantic_core import PydanticCustomError
from pydantic_core.core_schema import ValidationInfo

from core.errors import InvalidAmount, InvalidCurrency
from core.money import (
    CURRENCY_EXPONENTS,
    MAX_MINOR,
    Money,
    canonical_amount,
    canonical_decimal,
    parse_currency,
    parse_minor,
)
from core.people import EMAIL_CHARACTERS_LIMIT, normalized_email
from core.wallet_numbers import is_wallet_number

MAX_ID: Final = 2**63 - 1

# Plain, as everywhere: pydantic alone would read `1_0`, ` 10 ` and `10.0` as ten, and `1700000000`
# as a time.
_WHOLE_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_TIME: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})",
    re.ASCII,
)

_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)


class JsonNumber:
    """A JSON number as it was written; only an amount knows what to do with one."""

    __slots__ = ("text",)

    def __init__(self, text: str):
        self.text = text


class StrictModel(BaseModel):
    """A request: unknown fields and values of another type are errors."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


def _amount_text(value: Any) -> str:
    """Accept what JSON calls a number, and decimal strings; never a bool."""
    if isinstance(value, JsonNumber):
        return value.text
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise PydanticCustomError("amount", "must be a number or a decimal string")


def _currency(value: str) -> str:
    try:
        return parse_currency(value)
    except InvalidCurrency as error:
        raise PydanticCustomError("currency", "{why}", {"why": error.detail}) from None


def _unscaled_amount(value: str) -> str:
    """Return the canonical form of an amount above zero, of what is looked up later."""
    try:
        canonical = canonical_decimal(value)
    except InvalidAmount as error:
        raise PydanticCustomError("amount", "{why}", {"why": error.detail}) from None
    if canonical == "0":
        raise PydanticCustomError("amount", "must be greater than 0")
    return canonical


def visible(value: str) -> str:
    """Refuse names that a log line or a mail could not show; Persian and Hindi need the joiners."""
    if not value.replace("\u200c", "").replace("\u200d", "").isprintable():
        raise PydanticCustomError("not_printable", "must not contain control characters")
    return value


def _account_number(value: str) -> str:
    if not is_wallet_number(value):
        raise PydanticCustomError(
            "account_number",
            "must be an account number: 12 digits, one of these seems mistyped",
        )
    return value


def _uuid(value: object) -> UUID:
    """Read a UUID in the one form that we write, without repeating it where it is none."""
    if isinstance(value, UUID):
        return value
    if not isinstance(value, str) or _UUID.fullmatch(value) is None:
        raise PydanticCustomError("uuid", "must be a UUID")
    return UUID(value)


def _email(value: str) -> str:
    try:
        return normalized_email(value)
    except ValueError:
        raise PydanticCustomError("email", "must be a valid email address") from None


def _whole_number(value: str) -> int:
    """Read a number of a query string."""
    if _WHOLE_NUMBER.fullmatch(value) is None:
        raise PydanticCustomError("whole_number", "must be a whole number")
    return int(value)


def _time_text(value: str) -> str:
    """Refuse what RFC 3339 does not call a time."""
    if _TIME.fullmatch(value) is None:
        raise PydanticCustomError("time", "must be a time such as 2026-01-31T12:00:00Z")
    return value


def _in_utc(value: datetime) -> datetime:
    """Refuse a time so close to the end of the calendar that UTC has no name for it."""
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise PydanticCustomError("time", "must be between the years 1 and 9999 in UTC") from None


Currency = Annotated[
    str,
    AfterValidator(_currency),
    WithJsonSchema(
        {
            "type": "string",
            "enum": sorted(CURRENCY_EXPONENTS),
            "description": "An ISO 4217 code, three capital letters.",
            "examples": ["NGN"],
        }
    ),
]

# Zeros at the end carry no value, so as many of them are accepted as the parser reads.
_DECIMAL_PATTERN: Final = r"(0|[1-9][0-9]{0,14})(\.[0-9]{1,4}0{0,28})?$"

_AMOUNT_DESCRIPTION = (
    "In major units, as a number or a decimal string without exponent; at most as many decimals "
    f"as the currency has, and at most {MAX_MINOR} minor units."
)

AmountIn = Annotated[
    str,
    BeforeValidator(_amount_text),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "exclusiveMinimum": 0, "maximum": MAX_MINOR},
                {"type": "string", "pattern": rf"^(?!0(\.0+)?$){_DECIMAL_PATTERN}"},
            ],
            "description": f"{_AMOUNT_DESCRIPTION} Greater than 0.",
            "examples": [700.5],
        }
    ),
]

# Of what has its currency looked up later.
UnscaledAmountIn = Annotated[AmountIn, AfterValidator(_unscaled_amount)]

BalanceIn = Annotated[
    str,
    BeforeValidator(_amount_text),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": 0, "maximum": MAX_MINOR},
                {"type": "string", "pattern": f"^{_DECIMAL_PATTERN}"},
            ],
            "description": f"{_AMOUNT_DESCRIPTION} 0 or more.",
            "examples": [1000],
        }
    ),
]

AccountNumberText = Annotated[
    str,
    AfterValidator(_account_number),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": "^[1-9][0-9]{11}$",
            "description": "12 digits, the last of which checks the others (Luhn).",
            "examples": ["482915736045"],
        }
    ),
]
PublicId = Annotated[UUID, BeforeValidator(_uuid)]
CreditAmountIn = Annotated[
    str,
    BeforeValidator(_amount_text),
    AfterValidator(_unscaled_amount),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "exclusiveMinimum": 0, "maximum": MAX_MINOR},
                {"type": "string", "pattern": rf"^(?!0(\.0+)?$){_DECIMAL_PATTERN}"},
            ],
            "description": "A number or a decimal string without exponent; at most as many "
            f"decimals as the asset's scale, and at most {MAX_MINOR} minor units. Greater than 0.",
            "examples": [20],
        }
    ),
]

Id = Annotated[int, Field(ge=1, le=MAX_ID, examples=[2])]
AsWholeNumber: Final = BeforeValidator(_whole_number)
QueryTime = Annotated[AwareDatetime, BeforeValidator(_time_text), AfterValidator(_in_utc)]
PersonName = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=100),
    AfterValidator(visible),
    Field(examples=["Jane"]),
]
Email = Annotated[
    str,
    Field(
        max_length=EMAIL_CHARACTERS_LIMIT,
        json_schema_extra={"format": "email"},
        examples=["jane@example.com"],
    ),
    AfterValidator(_email),
]


class MoneyIn(StrictModel):
    """An amount above zero in a currency; `amount` is kept in canonical form."""

    currency: Currency
    amount: AmountIn

    @field_validator("amount")
    @classmethod
    def _check_amount(cls, value: str, info: ValidationInfo) -> str:
        return checked_amount(value, info.data.get("currency"), zero_allowed=False)

    @property
    def money(self) -> Money:
        """The amount in minor units."""
        return Money(parse_minor(self.amount, self.currency), self.currency)


def checked_amount(text: str, currency: str | None, *, zero_allowed: bool) -> str:
    """Return the canonical form of an amount, for use in a validator of the field.

    Without a currency (it was refused itself) there is nothing to check against.
    """
    if currency is None:
        return text
    try:
        minor = parse_minor(text, currency)
    except InvalidAmount as error:
        raise PydanticCustomError("amount", "{why}", {"why": error.detail}) from None
    if minor == 0 and not zero_allowed:
        raise PydanticCustomError("amount", "must be greater than 0")
    return canonical_amount(minor, currency)
