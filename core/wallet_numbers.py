"""Wallet numbers: 12 digits, eleven random and a Luhn check digit (ISO/IEC 7812-1, annex B)."""

import secrets
from typing import Final

WALLET_NUMBER_DIGITS: Final = 12


def make_wallet_number() -> str:
    """Draw a number nobody can guess from another; the first digit is never 0."""
    payload = str(10**10 + secrets.randbelow(9 * 10**10))
    return payload + luhn_check_digit(payload)


def is_wallet_number(text: str) -> bool:
    """Whether `text` could be one: a mistyped digit, or two that were swapped, show at once."""
    plain = len(text) == WALLET_NUMBER_DIGITS and text.isascii() and text.isdigit()
    return plain and text[0] != "0" and luhn_check_digit(text[:-1]) == text[-1]


def luhn_check_digit(payload: str) -> str:
    """Return the digit that makes `payload` plus it pass the Luhn check."""
    total = 0
    for position, digit in enumerate(reversed(payload)):
        value = int(digit) * (2 if position % 2 == 0 else 1)
        total += value - 9 if value > 9 else value
    return str(-total % 10)
