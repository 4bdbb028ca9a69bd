"""Words a receipt: subject, text and HTML, from the templates in `templates/`."""

from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid5

from babel.dates import format_datetime
from babel.numbers import format_currency
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from core.history import EXTERNAL_DESTINATION, EXTERNAL_SOURCE
from core.money import CURRENCY_EXPONENTS, Money
from core.outbox import Receipt
from integrations.mail import Mail

LOCALE: Final = "en"
TEMPLATES: Final = Path(__file__).parent.parent / "templates"


def word_receipt(receipt: Receipt, *, installation_id: str, app_name: str) -> Mail:
    """Return the mail that tells of a movement; the same receipt always has the same key."""
    values = _values(receipt) | {"app_name": app_name}
    return Mail(
        key=str(uuid5(UUID(installation_id), f"receipt {receipt.id}")),
        to_address=receipt.email,
        to_name=receipt.first_name,
        subject=f"{values['headline']} · {app_name}",
        text=_template("receipt.txt").render(values),
        html=_template("receipt.html").render(values),
    )


def format_money(money: Money) -> str:
    """Write an amount for a person, with the decimals ISO 4217 gives its currency."""
    exponent = CURRENCY_EXPONENTS[money.currency]
    # By its code: `$` would be the dollar of many countries. With the digits given: CLDR, which
    # babel follows by itself, differs from ISO for some currencies.
    pattern = "¤¤\N{NO-BREAK SPACE}#,##0" + ("." + "0" * exponent if exponent else "")
    amount = Decimal(money.minor).scaleb(-exponent)
    return format_currency(
        amount, money.currency, format=pattern, locale=LOCALE, currency_digits=False
    )


def _values(receipt: Receipt) -> dict[str, Any]:
    amount = format_money(receipt.money)
    outside = EXTERNAL_DESTINATION if receipt.is_sender else EXTERNAL_SOURCE
    other = receipt.other_name or outside
    headline = {
        ("deposit", False): f"You deposited {amount}",
        ("withdrawal", True): f"You withdrew {amount}",
        ("payout", True): f"You are paying out {amount}",
        ("payout_returned", False): f"Your payout of {amount} failed, and the money is back",
        ("payout_reversed", False): f"Your payout of {amount} was reversed, and the money is back",
        ("transfer", True): f"You sent {amount} to {other}",
        ("transfer", False): f"You received {amount} from {other}",
    }[receipt.type, receipt.is_sender]
    return {
        "headline": headline,
        "first_name": receipt.first_name,
        "rows": [
            ("Amount", amount),
            ("To" if receipt.is_sender else "From", other),
            ("Balance after it", format_money(receipt.balance)),
            ("Date", format_datetime(receipt.date, "d MMMM y, HH:mm 'UTC'", locale=LOCALE)),
            ("Transaction", str(receipt.transaction_id)),
        ],
    }


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        # Names are people's own words: whatever they hold, it stays text.
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def _template(name: str) -> Any:
    return _environment().get_template(name)
