"""A mail to send, what may go wrong, and the folder that mails go to while there is no provider."""

import asyncio
import os
from dataclasses import dataclass
from email.charset import BASE64, Charset
from email.header import Header
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.policy import compat32
from email.utils import formataddr
from pathlib import Path
from typing import Final, Protocol

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

    async def send(self, mail: Mail) -> None:
        """Write the mail's file. Raises MailUnavailable when the folder cannot be written."""
        try:
            await asyncio.to_thread(self._write, mail)
        except OSError as error:
            raise MailUnavailable(f"{self._folder}: {error.strerror}") from error

    async def close(self) -> None:
        """There is nothing to let go of."""

    def _write(self, mail: Mail) -> None:
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
