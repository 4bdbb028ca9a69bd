"""What a receipt says, and that it cannot be made to say something else."""

import asyncio
import email
import email.policy
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from core.money import Money
from core.outbox import Receipt
from integrations.mail import MAILS_IN_A_BATCH, FolderMailer, MailUnavailable, Sender
from integrations.receipts import format_money, word_receipt

INSTALLATION = "0" * 32


def make_receipt(**changes: object) -> Receipt:
    values: dict[str, object] = {
        "id": 7,
        "transaction_id": 42,
        "type": "transfer",
        "is_sender": True,
        "money": Money(70050, "NGN"),
        "balance": Money(29950, "NGN"),
        "date": datetime(2026, 11, 20, 10, 30, tzinfo=UTC),
        "first_name": "Jane",
        "email": "jane@example.com",
        "other_name": "Joe Roe",
    }
    return Receipt(**(values | changes))  # type: ignore[arg-type]  # each test gives its own


def words(receipt: Receipt) -> tuple[str, str, str]:
    mail = word_receipt(receipt, installation_id=INSTALLATION, app_name="Wallet")
    return mail.subject, mail.text, mail.html


@pytest.mark.parametrize(
    ("changes", "headline"),
    [
        ({}, "You sent NGN\N{NO-BREAK SPACE}700.50 to Joe Roe"),
        ({"is_sender": False}, "You received NGN\N{NO-BREAK SPACE}700.50 from Joe Roe"),
        (
            {"type": "deposit", "is_sender": False, "other_name": None},
            "You deposited NGN\N{NO-BREAK SPACE}700.50",
        ),
        ({"type": "withdrawal", "other_name": None}, "You withdrew NGN\N{NO-BREAK SPACE}700.50"),
    ],
)
def test_each_movement_has_its_words(changes: dict[str, object], headline: str) -> None:
    subject, text, html = words(make_receipt(**changes))

    assert subject == f"{headline} · Wallet"
    assert headline in text
    assert headline in html
    for part in (text, html):
        assert "NGN\N{NO-BREAK SPACE}299.50" in part
        assert "20 November 2026, 10:30 UTC" in part
        assert "42" in part


@pytest.mark.parametrize(
    ("minor", "currency", "shown"),
    [
        (5, "JPY", "JPY\N{NO-BREAK SPACE}5"),
        (1234567, "JPY", "JPY\N{NO-BREAK SPACE}1,234,567"),
        (1234, "KWD", "KWD\N{NO-BREAK SPACE}1.234"),
        (100, "USD", "USD\N{NO-BREAK SPACE}1.00"),
        (1, "CLF", "CLF\N{NO-BREAK SPACE}0.0001"),
        (999_999_999_999_999, "USD", "USD\N{NO-BREAK SPACE}9,999,999,999,999.99"),
        # CLDR gives it no decimals, ISO 4217 two: ours are ISO's.
        (12345, "IQD", "IQD\N{NO-BREAK SPACE}12.345"),
        (12345, "HUF", "HUF\N{NO-BREAK SPACE}123.45"),
    ],
)
def test_amounts_have_their_currencys_digits(minor: int, currency: str, shown: str) -> None:
    assert format_money(Money(minor, currency)) == shown


def test_names_stay_text() -> None:
    evil = '<img src=x onerror=alert(1)>"&{{ 7*7 }}'
    subject, text, html = words(make_receipt(first_name=evil, other_name=evil))

    assert "<img" not in html
    assert "&lt;img src=x onerror=alert(1)&gt;&#34;&amp;{{ 7*7 }}" in html
    assert "49" not in html + text + subject
    assert evil in text


def test_a_receipt_has_one_key_and_another_receipt_another() -> None:
    def key(receipt_id: int, installation: str = INSTALLATION) -> str:
        receipt = make_receipt(id=receipt_id)
        return word_receipt(receipt, installation_id=installation, app_name="Wallet").key

    assert key(1) == key(1)
    assert len({key(1), key(2), key(1, "1" * 32)}) == 3


async def test_without_a_provider_it_is_a_file_that_mail_programs_open(tmp_path: Path) -> None:
    mailer = FolderMailer(tmp_path / "mail", Sender("no-reply@example.com", "Wället"))
    mail = word_receipt(make_receipt(), installation_id=INSTALLATION, app_name="Wallet")
    for _ in range(2):
        await mailer.send(mail)

    [file] = list((tmp_path / "mail").iterdir())
    read = email.message_from_bytes(file.read_bytes(), policy=email.policy.default)
    assert (read["To"], read["Subject"]) == ("jane@example.com", mail.subject)
    assert "no-reply@example.com" in read["From"]
    kinds = [part.get_content_type() for part in read.walk()]
    assert kinds == ["multipart/alternative", "text/plain", "text/html"]

    (tmp_path / "file").write_text("in the way")
    with pytest.raises(MailUnavailable):
        await FolderMailer(tmp_path / "file", Sender("a@example.com", "A")).send(mail)


async def test_mails_that_are_sent_at_once_are_all_written(tmp_path: Path) -> None:
    folder = tmp_path / "mail"
    mailer = FolderMailer(folder, Sender("no-reply@example.com", "Wallet"))
    mails = [
        word_receipt(make_receipt(id=number), installation_id=INSTALLATION, app_name="Wallet")
        for number in range(2 * MAILS_IN_A_BATCH)
    ]
    # Two of them cannot be written; they do not keep the others from it.
    (folder / f"{mails[7].key}.eml" / "in the way").mkdir(parents=True)
    mails[3] = replace(mails[3], key="not the name of a file\0")

    sent = await asyncio.gather(*map(mailer.send, mails), return_exceptions=True)
    await mailer.close()

    assert isinstance(sent.pop(7), MailUnavailable)
    assert isinstance(sent.pop(3), ValueError)
    assert sent == [None] * (len(mails) - 2)
    del mails[7], mails[3]
    assert {path.stem for path in folder.glob("*.eml") if path.is_file()} == {
        mail.key for mail in mails
    }
