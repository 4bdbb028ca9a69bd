"""Paystack: the only place that knows its API (https://paystack.com/docs/api)."""

import asyncio
import hashlib
import hmac
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import httpx
import structlog
from pydantic import BaseModel

from core.money import CURRENCY_EXPONENTS, Money
from core.payment_commands import BankAccount, PaymentKind
from core.payment_errors import ProviderUnavailable
from core.payment_rows import OUR_REFERENCE
from core.provider import (
    Bank,
    Checkout,
    Heard,
    ProviderRefused,
    ReferenceKnown,
    Report,
    Verdict,
)

log = structlog.get_logger(__name__)

TIMEOUT_SECONDS: Final = 10
CONNECTIONS_LIMIT: Final = 20
# What only looks is tried once more after a moment.
RETRY_SECONDS: Final = 0.25
MESSAGE_CHARACTERS_LIMIT: Final = 60

# Those whose smallest unit at Paystack is ISO 4217's. XOF is not: Paystack counts hundredths of it.
DEPOSIT_CURRENCIES: Final = frozenset({"NGN", "GHS", "ZAR", "KES", "USD"})
# The kind of recipient that a bank account is, where accounts can be looked up before paying.
RECIPIENT_TYPES: Final[Mapping[str, str]] = {"NGN": "nuban", "GHS": "ghipss"}

_VERDICTS: Final[Mapping[str, Verdict]] = {
    "success": "success",
    "failed": "failed",
    "reversed": "reversed",
}
# Of transfers these are ends as well: nothing was paid, and nothing will be.
_PAYOUT_VERDICTS: Final[Mapping[str, Verdict]] = {
    **_VERDICTS,
    "abandoned": "failed",
    "blocked": "failed",
    "rejected": "failed",
}
_CLAIMS: Final[Mapping[str, Verdict]] = {
    "charge.success": "success",
    "charge.failed": "failed",
    "transfer.success": "success",
    "transfer.failed": "failed",
    "transfer.reversed": "reversed",
}
# How it says that there is nothing of a reference: by these codes or, where it sends none, in these
# words. Anybody on the way may answer 404.
_NOT_FOUND_CODES: Final = frozenset({"transaction_not_found", "transfer_not_found"})
_NOT_FOUND_WORDS: Final = ("transaction reference not found", "transfer not found")
# How it says that there is something already.
_KNOWN_CODES: Final = frozenset({"duplicate_reference", "duplicate_transfer_reference"})
_KNOWN_WORDS: Final = ("duplicate", "unique", "exists")
# Not about what was asked: our key is wrong, or we ask too often. The same may go through later.
_NOT_NOW: Final = frozenset({401, 403, 408, 429})


@dataclass(frozen=True, slots=True)
class _Reply:
    """What Paystack answered: an HTTP status below 500, and the JSON object of its body."""

    status: int
    body: Mapping[str, Any]

    @property
    def is_good(self) -> bool:
        """Whether it did what was asked."""
        return self.status < 300 and self.body.get("status") is True

    @property
    def code(self) -> str:
        """Its word for why not."""
        word = self.body.get("code") or self.body.get("message") or f"http_{self.status}"
        return str(word)[:MESSAGE_CHARACTERS_LIMIT]

    @property
    def says_not_found(self) -> bool:
        """Whether Paystack says that there is nothing of this reference."""
        if self.body.get("status") is not False:
            return False
        if (code := self.body.get("code")) is not None:
            return code in _NOT_FOUND_CODES
        return self._message.startswith(_NOT_FOUND_WORDS)

    @property
    def says_known(self) -> bool:
        """Whether Paystack refuses because there is something of this reference."""
        if self.body.get("code") in _KNOWN_CODES:
            return True
        told = self._message
        return "reference" in told and any(word in told for word in _KNOWN_WORDS)

    @property
    def _message(self) -> str:
        return str(self.body.get("message")).lower()


class _Event(BaseModel):
    """What is read of a webhook's body."""

    event: str
    data: dict[str, Any]


class Paystack:
    """A payment provider: see `core.provider.PaymentProvider` for what is raised."""

    def __init__(self, *, secret_key: str, base_url: str):
        self._http = httpx.AsyncClient(
            base_url=base_url,
            timeout=TIMEOUT_SECONDS,
            limits=httpx.Limits(max_connections=CONNECTIONS_LIMIT),
            headers={"Authorization": f"Bearer {secret_key}"},
        )

    def currencies(self, kind: PaymentKind) -> Collection[str]:
        """Return those that this client speaks of in Paystack's smallest units."""
        return DEPOSIT_CURRENCIES if kind == "deposit" else RECIPIENT_TYPES

    async def open_checkout(self, *, reference: str, money: Money, email: str) -> Checkout:
        """POST /transaction/initialize."""
        data = await self._tell(
            "/transaction/initialize",
            {
                "reference": reference,
                "amount": str(money.minor),
                "currency": money.currency,
                "email": email,
            },
        )
        return Checkout(
            authorization_url=_text(data, "authorization_url"),
            access_code=_text(data, "access_code"),
        )

    async def verify_deposit(self, reference: str) -> Report | None:
        """GET /transaction/verify/{reference}."""
        data = await self._verify(f"/transaction/verify/{reference}")
        return None if data is None else _report(data, _VERDICTS)

    async def list_banks(self, currency: str) -> Sequence[Bank]:
        """GET /bank."""
        reply = await self._look("/bank", {"currency": currency})
        banks = reply.body.get("data")
        if not reply.is_good or not isinstance(banks, list):
            raise ProviderUnavailable
        return [Bank(name=_text(bank, "name"), code=_text(bank, "code")) for bank in banks]

    async def resolve_account(self, account: BankAccount) -> str:
        """GET /bank/resolve."""
        named = {"account_number": account.number, "bank_code": account.bank_code}
        reply = await self._look("/bank/resolve", named)
        if not reply.is_good:
            raise ProviderRefused(reply.code)
        return _text(reply.body.get("data"), "account_name")

    async def make_recipient(self, account: BankAccount, *, name: str, currency: str) -> str:
        """POST /transferrecipient; for the same account Paystack returns the same recipient."""
        data = await self._tell(
            "/transferrecipient",
            {
                "type": RECIPIENT_TYPES[currency],
                "name": name,
                "account_number": account.number,
                "bank_code": account.bank_code,
                "currency": currency,
            },
        )
        return _text(data, "recipient_code")

    async def pay_out(self, *, reference: str, recipient_code: str, money: Money) -> Report:
        """POST /transfer."""
        data = await self._tell(
            "/transfer",
            {
                "source": "balance",
                "reference": reference,
                "recipient": recipient_code,
                "amount": money.minor,
                "currency": money.currency,
            },
        )
        return _report(data, _PAYOUT_VERDICTS)

    async def verify_payout(self, reference: str) -> Report | None:
        """GET /transfer/verify/{reference}."""
        data = await self._verify(f"/transfer/verify/{reference}")
        return None if data is None else _report(data, _PAYOUT_VERDICTS)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _tell(self, path: str, body: Mapping[str, object]) -> Any:
        """Ask for something to be done, once; return the answer's `data`."""
        reply = await self._ask("POST", path, json=body)
        if not reply.is_good:
            raise (ReferenceKnown if reply.says_known else ProviderRefused)(reply.code)
        return reply.body.get("data")

    async def _verify(self, path: str) -> Any:
        reply = await self._look(path, {})
        if reply.says_not_found:
            return None
        if not reply.is_good or reply.body.get("data") is None:
            raise ProviderUnavailable
        return reply.body["data"]

    async def _look(self, path: str, parameters: Mapping[str, str]) -> _Reply:
        try:
            return await self._ask("GET", path, params=parameters)
        except ProviderUnavailable:
            await asyncio.sleep(RETRY_SECONDS)
            return await self._ask("GET", path, params=parameters)

    async def _ask(self, method: str, path: str, **sent: Any) -> _Reply:
        try:
            response = await self._http.request(method, path, **sent)
            body = response.json()
        except (httpx.HTTPError, ValueError) as error:
            log.warning("paystack_unavailable", path=path, error=type(error).__name__)
            raise ProviderUnavailable from None
        unclear = response.status_code >= 500 or 300 <= response.status_code < 400
        if unclear or response.status_code in _NOT_NOW or not isinstance(body, dict):
            log.warning("paystack_unavailable", path=path, status=response.status_code)
            raise ProviderUnavailable
        return _Reply(response.status_code, body)


def is_signed(body: bytes, signature: str, secret: str) -> bool:
    """Whether `signature` is the HMAC-SHA512 of the body's bytes, in hexadecimal, under `secret`.

    Without a secret nothing is: anybody could sign with an empty one. Takes the same time wherever
    the signature differs.
    """
    if not secret:
        return False
    expected = hmac.new(secret.encode(), body, hashlib.sha512).hexdigest()
    return hmac.compare_digest(expected.encode(), signature.encode())


def read_event(body: bytes) -> Heard | None:
    """Return what a webhook tells; None for what no payment of ours can depend on.

    Raises ValueError for what is not an event.
    """
    event = _Event.model_validate_json(body)
    claim = _CLAIMS.get(event.event)
    if claim is None:
        return None
    reference = event.data.get("reference")
    if not isinstance(reference, str) or OUR_REFERENCE.fullmatch(reference) is None:
        return None
    return Heard(reference=reference, claim=claim)


def _report(data: Any, verdicts: Mapping[str, Verdict]) -> Report:
    word, currency = _text(data, "status"), _text(data, "currency")
    amount = data.get("amount")
    if (
        not isinstance(amount, int)
        or isinstance(amount, bool)
        or currency not in CURRENCY_EXPONENTS
    ):
        raise ProviderUnavailable
    return Report(
        verdict=verdicts.get(word, "pending"),
        word=word,
        reference=_text(data, "reference"),
        money=Money(amount, currency),
    )


def _text(data: Any, name: str) -> str:
    """Return a field that Paystack documents. Raises ProviderUnavailable if it is not there."""
    value = data.get(name) if isinstance(data, dict) else None
    if not isinstance(value, str) or not value:
        raise ProviderUnavailable
    return value
