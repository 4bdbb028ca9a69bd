"""A key's secret is in no log, no answer and no document, whatever is done with the key."""

from pathlib import Path

import httpx
import pytest

from core import api_keys
from db.session import Database
from tests.api_keys import made_key
from tests.people import People
from tests.races import api_processes, clients_of
from tests.services import Service, path_of, somebody

pytestmark = pytest.mark.promise("api-keys")


async def test_no_secret_is_repeated(
    database: Database, database_url: str, redis_url: str, tmp_path: Path
) -> None:
    made = await made_key(database)
    secret = made.text.rpartition("_")[2]
    with api_processes(1, database_url, redis_url, tmp_path, LOG_LEVEL="DEBUG") as [process]:
        async with clients_of([process]) as [client]:
            answers = await use(client, made.text)
            await api_keys.revoke(database, made.id)
            answers.append(await Service(client, made.text).get("/api/v1/assets"))
            answers.append(await client.get("/openapi.json"))
            answers.append(await client.get("/metrics"))
        log = process.log()

    assert [answer.status_code for answer in answers] == [
        201,
        422,
        403,
        401,
        400,
        404,
        401,
        200,
        200,
    ]
    assert "/top-up" in log
    for text in (log, *[f"{answer.headers} {answer.text}" for answer in answers]):
        assert secret not in text


async def use(client: httpx.AsyncClient, key: str) -> list[httpx.Response]:
    """Use a key rightly and wrongly."""
    service, user = Service(client, key), somebody()
    person = await People(client).sign_up()
    both = {**person.headers, "X-API-Key": key}
    return [
        await service.move("top-up", user, 1),
        await service.move("top-up", user, 0),
        await service.get("/wallet"),
        await Service(client, f"{key}0").get(path_of(user, "balance"), asset_type_id=1),
        await client.get("/wallet", headers=both),
        await service.move("top-up", user, 1, 4711),
    ]
