"""Paystack: the only place that knows its API (https://paystack.com/docs/api)."""

import asyncio
import hashlib
import hmac
from collections.abc import Collection, Mapping, Sequence
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
from integrations.bounded_http import NoAnswer, ask
from integrations.paystack_reply import PaystackReply

log = structlog.get_logger(__name__)

TIMEOUT_SECONDS: Final = 10
ANSWER_BYTES_LIMIT: Final = 1024 * 1024
PAYMENT_CONNECTIONS_LIMIT: Final = 20
BANK_CONNECTIONS_LIMIT: Final = 5
# What only looks is tried once more after a moment.
RETRY_SECONDS: Final = 0.25

# Those whose smallest unit at Paystack is ISO 4217's. XOF is not: Paystack counts hundredths of it.
DEPOSIT_CURRENCIES: Final = frozenset({"NGN", "GHS", "ZAR", "KES", "USD"})
# The kind of recipient that a bank account is, where accounts can be looked up before paying.
RECIPIENT_TYPES: Final[Mapping[str, str]] = {"NGN": "nuban", "GHS": "ghipss"}

_VERDICTS: Final[Mapping[str, Verdict]] = {
    "success": "success",
    "failed": "failed",
    "reversed": "reversed",
}
_DEPOSIT_VERDICTS: Final[Mapping[str, Verdict]] = {**_VERDICTS, "abandoned": "abandoned"}
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
# Not about what was asked: our key is wrong, or we ask too often. The same may go through later.
_NOT_NOW: Final = frozenset({401, 403, 408, 429})


class _Event(BaseModel):
    """What is read of a webhook's body."""

    event: str
    data: dict[str, Any]


class Paystack:
    """A payment provider: see `core.provider.PaymentProvider` for what is raised."""

    def __init__(self, *, secret_key: str, base_url: str):
        # Whoever looks up banks, however many at once, takes no connection from a payment.
        self._payments, self._banks = [
            httpx.AsyncClient(
                base_url=base_url,
                timeout=TIMEOUT_SECONDS,
                limits=httpx.Limits(max_connections=connections_limit),
                headers={"Authorization": f"Bearer {secret_key}"},
            )
            for connections_limit in (PAYMENT_CONNECTIONS_LIMIT, BANK_CONNECTIONS_LIMIT)
        ]

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
        return None if data is None else _report(data, _DEPOSIT_VERDICTS)

    async def list_banks(self, currency: str) -> Sequence[Bank]:
        """GET /bank."""
        reply = await self._look(self._banks, "/bank", {"currency": currency})
        banks = reply.body.get("data")
        if not reply.is_good or not isinstance(banks, list):
            raise ProviderUnavailable
        return [Bank(name=_text(bank, "name"), code=_text(bank, "code")) for bank in banks]

    async def resolve_account(self, account: BankAccount) -> str:
        """GET /bank/resolve."""
        named = {"account_number": account.number, "bank_code": account.bank_code}
        reply = await self._look(self._banks, "/bank/resolve", named)
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
        for client in (self._payments, self._banks):
            await client.aclose()

    async def _tell(self, path: str, body: Mapping[str, object]) -> Any:
        """Ask for something to be done, once; return the answer's `data`."""
        reply = await self._ask(self._payments, "POST", path, json=body)
        if not reply.is_good:
            raise (ReferenceKnown if reply.says_known else ProviderRefused)(reply.code)
        return reply.body.get("data")

    async def _verify(self, path: str) -> Any:
        reply = await self._look(self._payments, path, {})
        if reply.says_not_found:
            return None
        if not reply.is_good or reply.body.get("data") is None:
            raise ProviderUnavailable
        return reply.body["data"]

    async def _look(
        self, client: httpx.AsyncClient, path: str, parameters: Mapping[str, str]
    ) -> PaystackReply:
        try:
            return await self._ask(client, "GET", path, params=parameters)
        except ProviderUnavailable:
            await asyncio.sleep(RETRY_SECONDS)
            return await self._ask(client, "GET", path, params=parameters)

    async def _ask(
        self, client: httpx.AsyncClient, method: str, path: str, **sent: Any
    ) -> PaystackReply:
        request = client.build_request(method, path, **sent)
        try:
            told = await ask(
                client, request, seconds=TIMEOUT_SECONDS, bytes_limit=ANSWER_BYTES_LIMIT
            )
        except NoAnswer as error:
            log.warning("paystack_unavailable", path=path, error=str(error))
            raise ProviderUnavailable from None
        unclear = told.status >= 500 or 300 <= told.status < 400
        if unclear or told.status in _NOT_NOW or not isinstance(told.body, dict):
            log.warning("paystack_unavailable", path=path, status=told.status)
            raise ProviderUnavailable
        return PaystackReply(told.status, told.body)


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
