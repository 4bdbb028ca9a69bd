"""Amounts: parsing, formatting, and their being exact."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import money
from core.errors import InvalidAmount, InvalidCurrency
from core.money import CURRENCY_EXPONENTS, MAX_MINOR, canonical_amount, parse_minor, to_wire
from db import models

currencies = st.sampled_from(sorted(CURRENCY_EXPONENTS))


@pytest.mark.promise("money-decimals")
@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("700", "NGN", 70000),
        ("700.5", "NGN", 70050),
        ("0.01", "USD", 1),
        ("1.00", "USD", 100),
        ("1.000", "USD", 100),
        ("1.0", "JPY", 1),
        ("5", "JPY", 5),
        ("0.001", "KWD", 1),
        ("0", "USD", 0),
        ("9999999999999.99", "USD", MAX_MINOR),
    ],
)
def test_a_decimal_becomes_minor_units(text: str, currency: str, minor: int) -> None:
    assert parse_minor(text, currency) == minor


NOT_DECIMALS = (
    *("-1", "+5", "1e3", "1E+400", "1e999999999", "1_000", "00012", ".5", "5.", "0x10", "-0", ",5"),
    *("NaN", "Infinity", "\u0661\u0662", "\uff11\uff12", "\u00bd", " 1 ", "1\n", ""),
)


@pytest.mark.promise("money-exact", "money-range", "money-decimals")
@pytest.mark.parametrize(
    ("text", "currency"),
    [
        ("0.001", "USD"),
        ("1.5", "JPY"),
        ("0.0001", "KWD"),
        ("1.0000000000000001", "USD"),
        ("10000000000000", "USD"),
        ("1" + "0" * 30, "USD"),
        ("9" * 5000, "USD"),
        *[(text, "USD") for text in NOT_DECIMALS],
    ],
)
def test_anything_else_is_refused(text: str, currency: str) -> None:
    with pytest.raises(InvalidAmount):
        parse_minor(text, currency)


@pytest.mark.promise("S0-18")
@pytest.mark.parametrize("code", ["usd", "US", "USDT", "US D", "ZZZ", "XAU", "XXX", "", "ÜSD"])
def test_only_currencies_of_iso_4217_are_known(code: str) -> None:
    with pytest.raises(InvalidCurrency):
        money.parse_currency(code)


@pytest.mark.promise("money-wire")
@given(st.integers(min_value=-MAX_MINOR, max_value=MAX_MINOR), currencies)
def test_the_json_number_is_exactly_the_amount(minor: int, currency: str) -> None:
    written = json.dumps(to_wire(minor, currency))

    assert Decimal(written) == Decimal(minor).scaleb(-CURRENCY_EXPONENTS[currency])


@pytest.mark.promise("money-wire")
@given(st.integers(min_value=0, max_value=MAX_MINOR), currencies)
def test_what_is_written_is_read_back(minor: int, currency: str) -> None:
    assert parse_minor(canonical_amount(minor, currency), currency) == minor


@pytest.mark.promise("money-wire")
def test_whole_amounts_have_no_decimals_on_the_wire() -> None:
    assert json.dumps([to_wire(70000, "NGN"), to_wire(70050, "NGN")]) == "[700, 700.5]"


def test_the_tables_have_the_same_ceiling() -> None:
    assert models.MAX_MINOR == MAX_MINOR
