"""Payments by a provider, for those who set one up; and what the provider itself sends."""

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Annotated, Final

import structlog
from fastapi import Depends
from pydantic import BaseModel
from starlette.requests import Request

from core.commands import Answer, StartPayment
from core.errors import InvalidJson, WalletError
from core.payment_errors import PaymentsNotConfigured, WebhookSignatureInvalid
from core.payments import Payments
from core.provider import Heard
from dependencies.attempts import Pending
from dependencies.reading import read_body
from dependencies.services import services_of
from integrations.paystack import is_signed, read_event
from schemas.payments import PaymentBegun

log = structlog.get_logger(__name__)

_SIGNATURE: Final = b"x-paystack-signature"
_BEGUN: Final = 201


class Webhook:
    """A message that may be the provider's."""

    def __init__(self, request: Request):
        self._request = request

    async def read(self) -> Heard | None:
        """Return what it tells, None if that is nothing to us.

        Raises WebhookSignatureInvalid unless the body's very bytes are signed, before anything of
        them is read; InvalidJson for what is signed and no event.
        """
        secret = services_of(self._request).settings.webhook_secret.get_secret_value()
        headers = self._request.scope["headers"]
        signatures = [value.decode("latin-1") for name, value in headers if name == _SIGNATURE]
        body = await read_body(self._request)
        if len(signatures) != 1 or not is_signed(body, signatures[0], secret):
            log.warning("webhook_not_signed", signatures=len(signatures))
            raise WebhookSignatureInvalid
        try:
            return read_event(body)
        except ValueError:
            raise InvalidJson from None


def payments_of(request: Request) -> Payments:
    """Return the payments of this process. Raises PaymentsNotConfigured."""
    payments = services_of(request).payments
    if payments is None:
        raise PaymentsNotConfigured
    return payments


@dataclass(frozen=True, slots=True)
class Begun:
    """What came of beginning a payment; `reference` is None if that was refused.

    `is_repeated` if an earlier request began it. Whether the ledger knew the key does not tell: it
    also knows that of a request whose own COMMIT was not heard of at first.
    """

    answer: Answer
    reference: str | None
    is_repeated: bool

    def told(self, shown: BaseModel) -> Answer:
        """Return the answer that shows how the payment stands by now."""
        return self.answer._replace(body=shown.model_dump_json(), replayed=self.is_repeated)


async def begin_payment(pending: Pending, preparing: Awaitable[StartPayment]) -> Begun:
    """Begin a payment, or find what the same request began before.

    Whoever asks again is answered again, even if what `preparing` looks up has changed since: the
    wallet may be closed, the bank account gone. Raises what that raises, and what `settle` does.
    """
    own_reference = None
    try:
        command = await preparing
        own_reference = command.reference
    except WalletError as refusal:
        answer = await pending.first_answer_or_refuse(refusal)
    else:
        answer = await pending.settle(command, PaymentBegun.of, status=_BEGUN)
    if answer.status != _BEGUN:
        return Begun(answer, None, answer.replayed)
    reference = PaymentBegun.model_validate_json(answer.body).reference
    return Begun(answer, reference, reference != own_reference)


PaymentsDep = Annotated[Payments, Depends(payments_of)]
WebhookDep = Annotated[Webhook, Depends(Webhook)]
