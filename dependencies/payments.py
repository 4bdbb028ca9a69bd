"""Payments by a provider, for those who set one up; and what the provider itself sends."""

from typing import Annotated, Final

import structlog
from fastapi import Depends
from starlette.requests import Request

from core.errors import InvalidJson
from core.payment_errors import PaymentsNotConfigured, WebhookSignatureInvalid
from core.payments import Payments
from core.provider import Heard
from dependencies.reading import read_body
from dependencies.services import services_of
from integrations.paystack import is_signed, read_event

log = structlog.get_logger(__name__)

_SIGNATURE: Final = b"x-paystack-signature"


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


PaymentsDep = Annotated[Payments, Depends(payments_of)]
WebhookDep = Annotated[Webhook, Depends(Webhook)]
