"""Paystack's client and its signatures: what is believed, what is tried again, what is said."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress

import pytest
import structlog
from starlette.responses import JSONResponse, Response
from structlog.testing import CapturingLogger

from core.money import Money
from core.payment_commands import BankAccount
from core.payment_errors import ProviderUnavailable
from core.provider import ProviderRefused
from devtools.paystack.app import LocalPaystack
from devtools.paystack.books import NOT_AN_ACCOUNT
from devtools.paystack.webhooks import sign
from integrations import paystack
from integrations.paystack import Paystack, is_signed, read_event
from tests.paystack import SECRET, Trouble, event

REFERENCE = f"dep-{'0' * 32}"
BODY = event("charge.success", {"reference": REFERENCE, "amount": 100_000})
TEN = Money(1000, "NGN")
BANK = BankAccount(bank_code="058", number="0123456789")


@pytest.fixture
async def client(provider: LocalPaystack) -> AsyncIterator[Paystack]:
    opened = Paystack(secret_key=SECRET, base_url=provider.base_url)
    yield opened
    await opened.close()


@pytest.mark.promise("S3-signed")
def test_the_signature_is_that_of_the_documentation() -> None:
    # Made by `openssl dgst -sha512 -hmac key`.
    known = (
        "ff06ab36757777815c008d32c8e14a705b4e7bf310351a06a23b612dc4c7433e"
        "7757d20525a5593b71020ea2ee162d2311b247e9855862b270122419652c0c92"
    )
    assert is_signed(b"hello", known, "key")


@pytest.mark.promise("S3-signed")
def test_ten_thousand_mutated_signatures_are_none() -> None:
    good = sign(BODY, SECRET)
    assert is_signed(BODY, good, SECRET)
    draws = random.Random(7)
    for _ in range(10_000):
        characters = list(good)
        for _ in range(draws.randint(1, 3)):
            place = draws.randrange(len(characters))
            match draws.randrange(4):
                case 0:
                    characters[place] = draws.choice("0123456789abcdefABCDEF é\u0660")
                case 1:
                    del characters[place]
                case 2:
                    characters.insert(place, draws.choice("0123456789abcdef"))
                case _:
                    characters[place] = characters[place].upper()
        mutated = "".join(characters)
        assert mutated == good or not is_signed(BODY, mutated, SECRET)


@pytest.mark.promise("S3-signed")
def test_ten_thousand_mutated_bodies_are_not_signed() -> None:
    good = sign(BODY, SECRET)
    draws = random.Random(11)
    for _ in range(10_000):
        body = bytearray(BODY)
        place = draws.randrange(len(body))
        body[place] ^= 1 << draws.randrange(8)
        assert not is_signed(bytes(body), good, SECRET)


@pytest.mark.promise("S3-signed")
@pytest.mark.parametrize("signature", ["", "0" * 128, SECRET, sign(BODY, ""), sign(BODY, "other")])
def test_other_signatures_are_none(signature: str) -> None:
    assert not is_signed(BODY, signature, SECRET)
    # Nobody can sign for a service that has no secret.
    assert not is_signed(BODY, signature, "")


def test_events() -> None:
    heard = read_event(BODY)
    assert heard is not None
    assert (heard.reference, heard.claim) == (REFERENCE, "success")
    for name, data in (
        ("customeridentification.success", {}),
        ("charge.success", {}),
        ("charge.success", {"reference": "somebody else's"}),
        ("charge.success", {"reference": f"{REFERENCE}\0"}),
        ("charge.success", {"reference": 1}),
    ):
        assert read_event(event(name, data)) is None
    for body in (b"", b"[]", b"{}", b'{"event": "charge.success"}', b"[" * 10_000, b"\xff"):
        with pytest.raises(ValueError, match=r".*"):
            read_event(body)


async def test_what_only_looks_is_tried_twice_and_what_acts_is_not(
    client: Paystack, trouble: Trouble
) -> None:
    trouble.down()
    with pytest.raises(ProviderUnavailable):
        await client.verify_payout("pay-1")
    assert len(trouble.calls) == 2
    trouble.calls.clear()
    with pytest.raises(ProviderUnavailable):
        await client.pay_out(reference="pay-1", recipient_code="RCP_1", money=TEN)
    with pytest.raises(ProviderUnavailable):
        await client.open_checkout(reference="dep-1", money=TEN, email="jane@example.com")
    assert len(trouble.calls) == 2


@pytest.mark.parametrize(
    "answer",
    [
        Response("not JSON"),
        JSONResponse([]),
        JSONResponse({"status": True}),
        JSONResponse({"status": True, "data": {"status": "success", "amount": "1000"}}),
        JSONResponse({"status": True, "data": {"status": "success", "amount": 1000}}),
        JSONResponse({"status": False}, status_code=400),
        JSONResponse({}, status_code=401),
        JSONResponse({}, status_code=429),
        Response(status_code=302, headers={"location": "https://example.com"}),
    ],
)
async def test_what_is_not_understood_decides_nothing(
    client: Paystack, trouble: Trouble, answer: Response
) -> None:
    trouble.answers["/"] = answer
    with pytest.raises(ProviderUnavailable):
        await client.verify_deposit("dep-1")


async def test_nobody_there(provider: LocalPaystack) -> None:
    gone = Paystack(secret_key=SECRET, base_url="http://127.0.0.1:9")
    with pytest.raises(ProviderUnavailable):
        await gone.verify_deposit("dep-1")
    await gone.close()


async def test_what_is_unknown_is_none_and_what_is_refused_says_why(
    client: Paystack, trouble: Trouble
) -> None:
    assert await client.verify_deposit("dep-1") is None
    assert await client.verify_payout("pay-1") is None
    with pytest.raises(ProviderRefused) as refused:
        await client.resolve_account(BankAccount(bank_code="058", number=NOT_AN_ACCOUNT))
    assert refused.value.code == "account_not_resolved"
    assert await client.resolve_account(BANK)
    assert {bank.code for bank in await client.list_banks("NGN")} >= {"058"}
    first = await client.make_recipient(BANK, name="Jane Doe", currency="NGN")
    assert await client.make_recipient(BANK, name="Jane Doe", currency="NGN") == first


@pytest.mark.promise("S3-secret")
async def test_the_secret_is_never_told(
    client: Paystack, trouble: Trouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = CapturingLogger()
    # Of a class of its own: other tests' settings leave out warnings.
    log = structlog.wrap_logger(lines, processors=[], wrapper_class=structlog.BoundLogger)
    monkeypatch.setattr(paystack, "log", log)
    trouble.answers["/transaction"] = JSONResponse({"status": False}, status_code=401)
    trouble.answers["/transfer"] = JSONResponse({"message": SECRET}, status_code=503)
    for asked in (client.verify_deposit("dep-1"), client.verify_payout("pay-1")):
        with pytest.raises(ProviderUnavailable) as error:
            await asked
        assert SECRET not in f"{error.value!r} {error.value.__cause__!r}"
    assert len(lines.calls) == 4
    assert SECRET not in f"{lines.calls} {client!r} {vars(client)!r}"


@asynccontextmanager
async def answering(pieces: Iterable[bytes], *, pause_seconds: float) -> AsyncIterator[str]:
    """Serve one answer, piece by piece; give its address."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n")
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(pause_seconds)
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()


@pytest.mark.parametrize(
    ("pieces", "pause_seconds"),
    [
        # A byte at a time, each in time; nested too deeply; without an end.
        ([b" "] * 30, 0.1),
        ([b"[" * 100_000], 0),
        ([b" " * 65_536] * 40, 0),
    ],
)
async def test_an_answer_is_bounded_in_time_and_size(
    monkeypatch: pytest.MonkeyPatch, pieces: list[bytes], pause_seconds: float
) -> None:
    monkeypatch.setattr(paystack, "TIMEOUT_SECONDS", 0.4)
    async with answering(pieces, pause_seconds=pause_seconds) as base_url:
        slow = Paystack(secret_key=SECRET, base_url=base_url)
        began = time.monotonic()
        with pytest.raises(ProviderUnavailable):
            await slow.pay_out(reference="pay-1", recipient_code="RCP_1", money=TEN)
        assert time.monotonic() - began < 1
        await slow.close()


async def test_payments_do_not_wait_for_those_who_look_up_banks(
    client: Paystack, provider: LocalPaystack
) -> None:
    release = asyncio.Event()

    async def hang(path: str) -> Response | None:
        if path.startswith("/bank"):
            await release.wait()
        return None

    provider.trouble = hang
    looking = [asyncio.create_task(client.list_banks("NGN")) for _ in range(30)]
    await asyncio.sleep(0.1)
    assert await asyncio.wait_for(client.verify_deposit("dep-1"), 2) is None
    release.set()
    await asyncio.gather(*looking)
    provider.trouble = None
