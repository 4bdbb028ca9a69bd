"""Brevo's transactional mail: the only place that knows its API."""

from typing import Final

import httpx
from brevo import AsyncBrevo
from brevo.core.api_error import ApiError
from brevo.transactional_emails import (
    SendTransacEmailRequestSender,
    SendTransacEmailRequestToItem,
)

from integrations.mail import Mail, MailRefused, MailUnavailable, Sender

TIMEOUT_SECONDS: Final = 10

# The mail itself is at fault (a malformed address, say). Everything else, a wrong key included,
# may be mended on either side, and then the same mail goes through.
_MAIL_AT_FAULT: Final = frozenset({400, 413, 422})


class BrevoMailer:
    """Sends through Brevo, which delivers a mail once however often its key is sent."""

    def __init__(self, *, api_key: str, base_url: str, sender: Sender):
        self._http = httpx.AsyncClient(timeout=TIMEOUT_SECONDS)
        # Retries are the outbox's business: it remembers them, and waits longer each time.
        self._brevo = AsyncBrevo(
            api_key=api_key, base_url=base_url, httpx_client=self._http, max_retries=0
        )
        self._sender = SendTransacEmailRequestSender(email=sender.address, name=sender.name)

    async def send(self, mail: Mail) -> None:
        """Hand the mail over. Raises MailRefused, or MailUnavailable."""
        try:
            await self._brevo.transactional_emails.send_transac_email(
                sender=self._sender,
                to=[SendTransacEmailRequestToItem(email=mail.to_address, name=mail.to_name)],
                subject=mail.subject,
                html_content=mail.html,
                text_content=mail.text,
                headers={"idempotencyKey": mail.key},
            )
        except ApiError as error:
            reason = f"Brevo answered {error.status_code}"
            if error.status_code in _MAIL_AT_FAULT:
                raise MailRefused(reason) from error
            raise MailUnavailable(reason) from error
        except httpx.HTTPError as error:
            raise MailUnavailable(f"Brevo: {type(error).__name__}") from error

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()
