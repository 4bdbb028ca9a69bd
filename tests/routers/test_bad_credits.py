"""Bad input to the calls about credits: refused as documented, and nobody's credits change."""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import httpx
import pytest

from db.session import Database
from tests.bad_input import (
    AMOUNTS,
    MARKER,
    WALLET_IDS,
    ZEROS,
    Bad,
    BadValue,
    bad_bodies,
    with_value,
    without_each_field,
)
from tests.bad_requests import CURSORS, KEYS
from tests.refusing import REQUEST_ID, find_fault
from tests.services import Service, open_service, path_of, somebody

pytestmark = pytest.mark.promise("S4-amounts", "json-strict", "errors-problem")

BODY = {"amount": 1, "asset_type_id": 1}
CALLS = ("top-up", "bonus", "spend")

# Gold has no parts, but there may be more of it than of a currency with cents.
NOT_GOLD = [
    *[value for value in AMOUNTS if value.text != "10000000000000"],
    *map(BadValue, ("0.5", '"0.5"', "1.01", "1000000000000000", '"1000000000000000"')),
]
BODY_KEYS = (
    *map(BadValue, ('""', f'"{"k" * 256}"', '"a b"', f'"{MARKER} "', f'"{MARKER}\\n"', '"é"')),
    *map(BadValue, ("1", "true", "[]", "{}", f'["{MARKER}"]')),
)
NAMES = ("x" * 129, "a%20b", "%C3%A9", "%00", "%0A", "%7F", "%FF", "a%09", "%E2%80%8Ba", "%2E")
QUERIES = (
    *("limit=0", "limit=101", "limit=-1", "limit=1.0", "limit=", "offset=-1", "offset=1e3"),
    *("asset_type_id=x", "asset_type_id=1.0", "asset_type_id=-1", "asset_type_id=", "a=1"),
    *("limit=1&limit=2", "asset_type_id=1&asset_type_id=1", "asset_type_id=9999999999999999999"),
)


@pytest.fixture(scope="module")
async def service(client: httpx.AsyncClient, database: Database) -> Service:
    return await open_service(client, database)


@pytest.fixture(scope="module")
async def user(service: Service) -> AsyncIterator[str]:
    """Somebody with credits, who has the same ones in the end."""
    name = somebody()
    await service.move("top-up", name, 100)
    yield name
    assert await service.balance(name) == 100
    assert len(await service.transactions(name)) == 1


async def refuses(cases: Sequence[Bad], send: Callable[[Bad], Any]) -> None:
    """Assert that every case is refused as it should be."""
    found = [(case.name[:60], find_fault(case, await send(case))) for case in cases]
    assert [fault for fault in found if fault[1] is not None] == []


def post(service: Service, user: str, call: str) -> Callable[[Bad], Any]:
    async def send(case: Bad) -> httpx.Response:
        headers = [(b"x-request-id", REQUEST_ID), (b"x-api-key", service.key.encode())]
        return await service.client.post(
            path_of(user, call), content=case.content, headers=[*headers, *case.headers]
        )

    return send


@pytest.mark.parametrize("call", CALLS)
async def test_bodies(call: str, service: Service, user: str) -> None:
    await refuses([*bad_bodies(BODY), *without_each_field(BODY)], post(service, user, call))


@pytest.mark.parametrize("call", CALLS)
async def test_amounts(call: str, service: Service, user: str) -> None:
    cases = [with_value(BODY, "amount", value) for value in (*NOT_GOLD, *ZEROS)]

    await refuses(cases, post(service, user, call))


@pytest.mark.parametrize("call", CALLS)
async def test_assets_and_keys(call: str, service: Service, user: str) -> None:
    cases = [with_value(BODY, "asset_type_id", value) for value in WALLET_IDS]
    cases += [with_value(BODY, "idempotency_key", value) for value in BODY_KEYS]
    good = with_value(BODY, "amount", BadValue("1"))
    cases += [
        Bad(name, good.content, 400, "idempotency_key_invalid", (*good.headers, *headers))
        for name, headers in KEYS.items()
    ]

    await refuses(cases, post(service, user, call))


@pytest.mark.parametrize("call", CALLS)
async def test_names(call: str, service: Service) -> None:
    for name in NAMES:
        response = await service.move(call, name, 1)

        assert (response.status_code, response.json()["code"]) == (422, "invalid_request"), name
    for path in (path_of("a%2Fb", call), path_of("", call), path_of("a/b", call)):
        response = await service.post(path, BODY)

        assert (response.status_code, response.json()["code"]) == (404, "not_found"), path


@pytest.mark.parametrize("what", ["balance", "transactions", "ledger"])
async def test_queries(what: str, service: Service, user: str) -> None:
    async def send(case: Bad) -> httpx.Response:
        headers = {"X-Request-ID": REQUEST_ID.decode(), "X-API-Key": service.key}
        return await service.client.get(f"{path_of(user, what)}?{case.name}", headers=headers)

    cases = [Bad(query, b"", headers=()) for query in QUERIES]
    if what != "balance":
        # Of the right form, but of no page.
        cases += [Bad(f"cursor={cursor}", b"", 422, "cursor_invalid") for cursor in CURSORS]
    else:
        cases.append(Bad("", b"", headers=()))

    await refuses(cases, send)
