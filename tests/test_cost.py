"""What all our layers cost, as a ratio to FastAPI's plain way of doing nothing."""

import statistics
from pathlib import Path
from uuid import uuid4

import pytest

from bench.load import drive
from bench.yardsticks import NO_OP_PATH
from tests.people import People
from tests.processes import ApiProcess
from tests.races import clients_of, environment_for

# A PATCH through authentication, strict parsing and idempotency may take this much longer than
# FastAPI's authenticated no-op, in the same run. Measured: 0.8 to 0.9, while this load generator
# takes its share of the same two cores.
MOST_TIMES_AS_SLOW = 1.5


@pytest.mark.alone
async def test_doing_nothing_through_every_layer(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    environment = environment_for(database_url, redis_url)
    plain, ours = (
        ApiProcess(
            environment, log_path=tmp_path / f"{name}.log", app=f"bench.yardsticks.{name}:app"
        )
        for name in ("no_op", "layers")
    )
    with plain, ours:
        async with clients_of([ours]) as [client]:
            token = (await People(client).sign_up()).access_token

        async def measure(process: ApiProcess) -> float:
            name = uuid4().hex
            sent = await drive(
                [process.url],
                lambda number: request_bytes(token, f"{name}-{number}"),
                connections=32,
                seconds=0.8,
            )
            assert not sent.failures
            return sent.rate

        for process in (plain, ours):
            await measure(process)
        rates = [(await measure(plain), await measure(ours)) for _ in range(3)]
    plain_rate, our_rate = (statistics.median(column) for column in zip(*rates, strict=True))
    assert plain_rate / our_rate <= MOST_TIMES_AS_SLOW, (plain_rate, our_rate)


def request_bytes(token: str, key: str) -> bytes:
    body = b'{"amount":1,"currency":"NGN","to_account_id":2}'
    return (
        f"PATCH {NO_OP_PATH} HTTP/1.1\r\nHost: wallet.test\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nX-Idempotency-Key: {key}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body
