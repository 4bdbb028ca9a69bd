"""What all our layers cost, as a ratio to FastAPI's plain way of doing nothing."""

import statistics
from pathlib import Path
from uuid import uuid4

from tests.load import requests_per_second
from tests.people import People
from tests.processes import ApiProcess
from tests.races import clients_of, environment_for
from tests.yardsticks import PATH

# A PATCH through authentication, strict parsing and idempotency may take this much longer than
# FastAPI's authenticated no-op, in the same run. Measured: 0.8 to 0.9, while this load generator
# takes its share of the same two cores.
MOST_TIMES_AS_SLOW = 1.5


async def test_doing_nothing_through_every_layer(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    environment = environment_for(database_url, redis_url)
    plain = ApiProcess(environment, log_path=tmp_path / "plain.log", app="tests.yardsticks:plain")
    ours = ApiProcess(environment, log_path=tmp_path / "ours.log", app="tests.yardsticks:ours")
    with plain, ours:
        async with clients_of([ours]) as [client]:
            token = (await People(client).sign_up()).access_token

        async def measure(process: ApiProcess) -> float:
            name = uuid4().hex
            return await requests_per_second(
                process.url,
                lambda number: request_bytes(token, f"{name}-{number}"),
                connections=32,
                seconds=0.8,
            )

        for process in (plain, ours):
            await measure(process)
        rates = [(await measure(plain), await measure(ours)) for _ in range(3)]
    plain_rate, our_rate = (statistics.median(column) for column in zip(*rates, strict=True))
    assert plain_rate / our_rate <= MOST_TIMES_AS_SLOW, (plain_rate, our_rate)


def request_bytes(token: str, key: str) -> bytes:
    body = b'{"amount":1,"currency":"NGN","to_account_id":2}'
    return (
        f"PATCH {PATH} HTTP/1.1\r\nHost: wallet.test\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nX-Idempotency-Key: {key}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body
