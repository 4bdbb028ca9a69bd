"""Amounts of money: the only parser and formatter of them.

Inside the house an amount is a whole count of minor units (cents, kobo); on the wire it is in
major units. Nothing here uses binary floating point to compute; a float appears only as the last
step of `to_wire`, where at most 15 significant digits make it exact.
"""

import re
from dataclasses import dataclass
from typing import Final

from iso4217 import Currency as IsoCurrency

from core.errors import InvalidAmount, InvalidCurrency

# The largest count of minor units a double carries exactly in major units, whatever the exponent.
MAX_MINOR: Final = 999_999_999_999_999

# ISO 4217 lists funds and metals without minor units ("N.A."); nobody holds a wallet in those.
CURRENCY_EXPONENTS: Final[dict[str, int]] = {
    currency.code: currency.exponent for currency in IsoCurrency if currency.exponent is not None
}

# ASCII digits only: `\d` would let Arabic-Indic and full-width digits through. No exponent, no
# sign, no leading zero. 32 digits are more than any amount needs and bound the work.
_DECIMAL: Final = re.compile(r"(0|[1-9][0-9]{0,31})(?:\.([0-9]{1,32}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Money:
    """A non-negative amount: `minor` units of a `currency`, the code of an asset."""

    minor: int
    currency: str


def parse_currency(code: str) -> str:
    """Return `code` if ISO 4217 lists it with minor units; raise InvalidCurrency otherwise."""
    if code not in CURRENCY_EXPONENTS:
        raise InvalidCurrency
    return code


def parse_minor(text: str, currency: str) -> int:
    """Turn decimal `text` in major units into minor units of `currency`; zero is accepted.

    Trailing zeros carry no value: `1.0` and `1.00` are the same amount, also in yen.
    Raises InvalidAmount for anything that is not a plain decimal, has more decimals than the
    currency, or exceeds MAX_MINOR.
    """
    return minor_from(text, CURRENCY_EXPONENTS[currency], currency)


def minor_from(text: str, scale: int, code: str) -> int:
    """Turn decimal `text` into minor units of what has `scale` decimals and is called `code`.

    Raises InvalidAmount as `parse_minor` does.
    """
    match = _DECIMAL.fullmatch(text)
    if match is None:
        raise InvalidAmount("must be a plain decimal number such as 12.50")
    whole, decimals = match.group(1), (match.group(2) or "").rstrip("0")
    if len(decimals) > scale:
        raise InvalidAmount(f"must have at most {scale} decimals in {code}")
    minor = int(whole + decimals.ljust(scale, "0"))
    if minor > MAX_MINOR:
        raise InvalidAmount("must be at most 999999999999999 minor units")
    return minor


def to_wire(minor: int, currency: str) -> int | float:
    """Write `minor` units as the JSON number of major units: `700`, `700.5`; sign is kept."""
    return written(minor, CURRENCY_EXPONENTS[currency])


def written(minor: int, scale: int) -> int | float:
    """Write `minor` units of what has `scale` decimals as the JSON number of major units."""
    unit: int = 10**scale
    return minor // unit if minor % unit == 0 else minor / unit


def canonical_decimal(text: str) -> str:
    """Write decimal `text` without zeros at its end, the one form that equal amounts share.

    For an amount of what is looked up later. Raises InvalidAmount unless it is a plain decimal.
    """
    match = _DECIMAL.fullmatch(text)
    if match is None:
        raise InvalidAmount("must be a plain decimal number such as 12.50")
    decimals = (match.group(2) or "").rstrip("0")
    return f"{match.group(1)}.{decimals}" if decimals else match.group(1)


def canonical_amount(minor: int, currency: str) -> str:
    """Write `minor` units in the one decimal form that equal amounts share: `700.5`, `700`."""
    exponent = CURRENCY_EXPONENTS[currency]
    whole, decimals = divmod(minor, 10**exponent)
    fraction = str(decimals).rjust(exponent, "0").rstrip("0") if exponent else ""
    return f"{whole}.{fraction}" if fraction else str(whole)
