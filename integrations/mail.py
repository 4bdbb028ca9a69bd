"""A mail to send, what may go wrong, and the folder that mails go to while there is no provider."""

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass
from email.charset import BASE64, Charset
from email.header import Header
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.policy import compat32
from email.utils import formataddr
from pathlib import Path
from typing import Final, Protocol

from core.batching import Batcher
from core.errors import Unavailable

MAILS_IN_A_BATCH: Final = 100
MAILS_WAITING_LIMIT: Final = 1000

_CRLF: Final = compat32.clone(linesep="\r\n")
# Weighing for each header whether quoted-printable is shorter takes a fifth of a mail's time.
_UTF8: Final = Charset("utf-8")
_UTF8.header_encoding = BASE64


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """One mail to one person. `key` names it: sent twice under one key, it arrives once."""

    key: str
    to_address: str
    to_name: str
    subject: str
    text: str
    html: str


@dataclass(frozen=True, slots=True)
class Sender:
    """Whom mails come from."""

    address: str
    name: str


class MailUnavailable(Exception):
    """It could not be sent now; the same mail may be tried again later."""


class MailRefused(Exception):
    """The provider will not take this mail, however often it is tried."""


class Mailer(Protocol):
    """Sends mails; implemented by `integrations.brevo` and the folder below."""

    async def send(self, mail: Mail) -> None:
        """Return when the mail was taken. Raises MailUnavailable or MailRefused."""

    async def close(self) -> None:
        """Let go of connections."""


class FolderMailer:
    """Writes `.eml` files, which mail programs open; a mail sent again replaces its file."""

    def __init__(self, folder: Path, sender: Sender):
        self._folder = folder
        self._sender = sender
        # Those that are sent at once are written by one thread: several would wait for one another.
        self._batcher: Batcher[Mail, None] = Batcher(
            self._write_all, batch_limit=MAILS_IN_A_BATCH, queue_limit=MAILS_WAITING_LIMIT
        )

    async def send(self, mail: Mail) -> None:
        """Write the mail's file. Raises MailUnavailable when the folder cannot be written."""
        try:
            await self._batcher.submit(mail)
        except Unavailable as error:
            raise MailUnavailable(f"{self._folder}: too many mails wait to be written") from error

    async def close(self) -> None:
        """Write what was taken."""
        await self._batcher.stop()

    async def _write_all(self, mails: Sequence[Mail]) -> list[Exception | None]:
        return await asyncio.to_thread(lambda: [self._write(mail) for mail in mails])

    def _write(self, mail: Mail) -> Exception | None:
        """Write one mail's file; return what prevented it."""
        try:
            self._write_file(mail)
        except OSError as error:
            return MailUnavailable(f"{self._folder}: {error.strerror}")
        except Exception as error:  # noqa: BLE001 - one that cannot be worded spoils no others
            return error
        return None

    def _write_file(self, mail: Mail) -> None:
        # Not EmailMessage: it parses each header that it is given, and takes four times as long.
        message = MIMEMultipart("alternative", boundary=f"={mail.key}=")
        message["From"] = formataddr((self._sender.name, self._sender.address))
        message["To"] = mail.to_address
        message["Subject"] = Header(mail.subject, _UTF8).encode()
        message["X-Idempotency-Key"] = mail.key
        message.attach(MIMEText(mail.text, "plain", "utf-8"))
        message.attach(MIMEText(mail.html, "html", "utf-8"))
        self._folder.mkdir(parents=True, exist_ok=True)
        # Whole or not at all: whoever looks into the folder never sees half a mail.
        unfinished = self._folder / f".{mail.key}.{os.getpid()}"
        unfinished.write_bytes(message.as_bytes(policy=_CRLF))
        unfinished.replace(self._folder / f"{mail.key}.eml")
