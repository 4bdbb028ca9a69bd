"""Bytes that no HTTP library sends, over a real socket: refused, and nothing moves or breaks."""

import json
import re
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx
import pytest

from tests.bad_input import MARKER
from tests.conftest import migrate, sqlite_url
from tests.people import People
from tests.processes import SECRET_KEY, ApiProcess

pytestmark = pytest.mark.promise("json-strict", "errors-problem")

BALANCE = 100
BODY = b'{"currency":"NGN","amount":1}'
LENGTH = b"Content-Length: %d" % len(BODY)
KEY = b"X-Idempotency-Key: zqmarkerqz"
JSON = b"Content-Type: application/json"
CHUNKED = b"Transfer-Encoding: chunked"
CHUNK = b"10000\r\n" + b" " * 0x10000 + b"\r\n"


@dataclass(frozen=True, slots=True)
class Wire:
    """The running service, and how one person signs in to it."""

    api: ApiProcess
    authorization: bytes

    def send(self, *lines: bytes, body: bytes = b"") -> bytes:
        """Send a deposit with these header lines and this body; return the whole answer."""
        head = [b"PATCH /transaction/deposit HTTP/1.1", b"Host: x", JSON]
        return self.send_raw(b"\r\n".join([*head, self.authorization, *lines, b"", body]))

    def send_raw(self, content: bytes) -> bytes:
        """Send bytes; return the first answer, or what there is of it when the service hangs up."""
        received = b""
        with self._connect() as connection:
            connection.sendall(content)
            while not _is_complete(received) and (chunk := connection.recv(65536)):
                received += chunk
        return received

    def hang_up_after(self, content: bytes) -> None:
        """Send bytes and leave without waiting for an answer."""
        with self._connect() as connection:
            connection.sendall(content)

    def _connect(self) -> socket.socket:
        address = urlsplit(self.api.url)
        assert address.hostname
        assert address.port
        return socket.create_connection((address.hostname, address.port), timeout=5)


def _is_complete(answer: bytes) -> bool:
    head, separator, content = answer.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head)
    return bool(separator and length) and len(content) >= int(length[1] if length else 0)


@pytest.fixture(scope="module")
async def wire(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Wire]:
    folder = tmp_path_factory.mktemp("wire")
    url = sqlite_url(folder)
    await migrate(url)
    environment = {
        "DATABASE_URL": url,
        "REDIS_URL": "redis://127.0.0.1:1",
        "SECRET_KEY": SECRET_KEY,
        "PASSWORD_HASH_ROUNDS": "4",
        "RATE_LIMIT_ENABLED": "false",
        "LOG_LEVEL": "INFO",
    }
    with ApiProcess(environment, log_path=folder / "api.log") as api:
        async with httpx.AsyncClient(base_url=api.url) as client:
            person = await People(client).with_wallet(BALANCE)
            authorization = f"Authorization: {person.headers['Authorization']}".encode()
            yield Wire(api, authorization)
            assert await person.balance() == BALANCE
            assert [item["type"] for item in await person.history()] == ["deposit"]
        # Nothing was a surprise to the service, not even those who hung up in the middle of a body,
        # and its log does not hold what was sent.
        log = api.log()
        assert "Traceback" not in log
        assert MARKER not in log


@pytest.mark.parametrize(
    ("lines", "body", "status", "code"),
    [
        ([KEY.ljust(70_000, b"k"), LENGTH], BODY, 400, "idempotency_key_invalid"),
        ([KEY + "é".encode(), LENGTH], BODY, 400, "idempotency_key_invalid"),
        ([KEY + b"\xff", LENGTH], BODY, 400, "idempotency_key_invalid"),
        ([KEY, KEY, LENGTH], BODY, 400, "idempotency_key_invalid"),
        ([b"X-Idempotency-Key:", LENGTH], BODY, 400, "idempotency_key_invalid"),
        ([b"X-Idempotency-Key:   ", LENGTH], BODY, 400, "idempotency_key_invalid"),
        ([LENGTH], BODY, 400, "idempotency_key_required"),
        ([KEY], b"", 400, "invalid_json"),
        ([KEY, JSON, LENGTH], BODY, 415, "unsupported_media_type"),
        ([KEY, LENGTH, b"Content-Encoding: gzip"], BODY, 415, "unsupported_media_type"),
        # Announced and never sent: the answer does not wait for it.
        ([KEY, b"Content-Length: 10000000"], b"", 413, "content_too_large"),
        (
            [KEY, b"Content-Length: 10000000", b"Expect: 100-continue"],
            b"",
            413,
            "content_too_large",
        ),
        ([KEY, b"Content-Length: 10000000"], BODY.ljust(10_000_000), 413, "content_too_large"),
        ([KEY, CHUNKED], CHUNK * 160 + b"0\r\n\r\n", 413, "content_too_large"),
        # Never ended.
        ([KEY, CHUNKED], CHUNK * 2, 413, "content_too_large"),
    ],
)
def test_refused_as_documented(
    wire: Wire, lines: list[bytes], body: bytes, status: int, code: str
) -> None:
    answer = wire.send(*lines, body=body)

    head, _, content = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status), answer[:500]
    assert b"content-type: application/problem+json" in head.lower()
    assert json.loads(content)["code"] == code
    assert MARKER.encode() not in answer


@pytest.mark.parametrize(
    "lines",
    [
        [KEY, LENGTH, LENGTH + b"0"],
        [KEY, LENGTH, CHUNKED],
        [KEY, b"Content-Length: -1"],
        [KEY, b"Content-Length: +29"],
        [KEY, b"Content-Length: 0x1d"],
        [KEY, b"Content-Length: " + b"9" * 5000],
        [KEY, CHUNKED, CHUNKED],
        [KEY, b"Transfer-Encoding: zqmarkerqz"],
        [KEY + b"\0", LENGTH],
        [KEY, LENGTH, b"No colon"],
        [KEY, LENGTH, b"Spaced : zqmarkerqz"],
        [KEY, LENGTH, b" folded"],
    ],
)
def test_what_is_not_quite_http_is_never_acted_upon(wire: Wire, lines: list[bytes]) -> None:
    answer = wire.send(*lines, body=BODY)

    assert answer.startswith(b"HTTP/1.1 4"), answer[:500]
    assert MARKER.encode() not in answer


@pytest.mark.parametrize(
    "content",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"zqelsewhereqz\r\n\r\n",
        b"ZQELSEWHEREQZ /livez HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /livez HTTP/9.9\r\nHost: x\r\n\r\n",
        b"GET /zqelsewhereqz\xff HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET /users/%zqelsewhereqz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET /" + b"zqelsewhereqz" * 10_000 + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET http://zqelsewhereqz/wallet HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    ],
)
def test_other_bytes_are_refused(wire: Wire, content: bytes) -> None:
    answer = wire.send_raw(content)

    assert answer.startswith(b"HTTP/1.1 4"), answer[:500]
    # Another marker: an address may stand in the log.
    assert b"zqelsewhereqz" not in answer.lower()


def test_hanging_up_in_the_middle_of_a_body(wire: Wire) -> None:
    for lines in ([KEY, LENGTH], [KEY, CHUNKED]):
        head = [b"PATCH /transaction/deposit HTTP/1.1", b"Host: x", JSON, wire.authorization]
        wire.hang_up_after(b"\r\n".join([*head, *lines, b"", BODY[:-1]]))

    assert wire.send_raw(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").startswith(b"HTTP/1.1 200")
