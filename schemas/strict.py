"""The types that requests are made of: strict, so that nothing is ever guessed or converted."""

from typing import Annotated, Any, Final

from email_validator import EmailNotValidError, validate_email
from pydantic import (
    AfterValidator,
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
from core.money import MAX_MINOR, Money, canonical_amount, parse_currency, parse_minor

MAX_ID: Final = 2**63 - 1


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


def _visible(value: str) -> str:
    """Refuse names that a log line or a mail could not show."""
    if not value.isprintable():
        raise PydanticCustomError("not_printable", "must not contain control characters")
    return value


def _email(value: str) -> str:
    try:
        return validate_email(value, check_deliverability=False).normalized
    except EmailNotValidError:
        raise PydanticCustomError("email", "must be a valid email address") from None


Currency = Annotated[
    str,
    AfterValidator(_currency),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": "^[A-Z]{3}$",
            "description": "An ISO 4217 code, three capital letters.",
            "examples": ["NGN"],
        }
    ),
]

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
                {"type": "string", "pattern": r"^(0|[1-9][0-9]{0,14})(\.[0-9]{1,4})?$"},
            ],
            "description": f"{_AMOUNT_DESCRIPTION} Greater than 0.",
            "examples": [700.5],
        }
    ),
]

BalanceIn = Annotated[
    str,
    BeforeValidator(_amount_text),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": 0, "maximum": MAX_MINOR},
                {"type": "string", "pattern": r"^(0|[1-9][0-9]{0,14})(\.[0-9]{1,4})?$"},
            ],
            "description": f"{_AMOUNT_DESCRIPTION} 0 or more.",
            "examples": [1000],
        }
    ),
]

Id = Annotated[int, Field(ge=1, le=MAX_ID, examples=[2])]
PersonName = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=100),
    AfterValidator(_visible),
    Field(examples=["Jane"]),
]
Email = Annotated[
    str,
    Field(max_length=254, json_schema_extra={"format": "email"}, examples=["jane@example.com"]),
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
