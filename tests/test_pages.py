"""The pages of the service itself, and what every answer has in common."""

import re
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Final
from urllib.parse import urljoin

import httpx
import pytest
from sqlalchemy import text

from config import VERSION
from db.session import Database, DatabaseOptions
from main import create_app
from tests.conftest import migrate, serving, settings_for, sqlite_url

PAGES: Final = ("/docs", "/redoc")
ORIGIN: Final = "https://app.example.com"
PROBLEM: Final = "application/problem+json"
MADE_ID: Final = re.compile(r"[0-9a-f]{32}")


class Links(HTMLParser):
    """Collects what a page loads or leads to."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attributes if name in {"src", "href"}]


@pytest.fixture(scope="module")
async def database_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One engine is enough here: hides the fixture that has two."""
    url = sqlite_url(tmp_path_factory.mktemp("pages"))
    await migrate(url)
    return url


@pytest.fixture(scope="module")
async def client(database_url: str, redis_url: str) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(settings_for(database_url, redis_url=redis_url)) as opened:
        yield opened


@pytest.mark.parametrize("path", PAGES)
async def test_documentation_loads_nothing_from_elsewhere(
    client: httpx.AsyncClient, path: str
) -> None:
    page = await client.get(path)

    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    links = Links(page.text).found
    assert len(links) >= 2
    for link in links:
        assert urljoin("http://wallet.test/", link).startswith("http://wallet.test/"), link
        assert (await client.get(link)).status_code == 200, link
    assert re.findall(r"(?:https?:)?//[^\s'\"]+", page.text) == []
    # The scripts themselves know addresses elsewhere; browsers are told not to load from them.
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'self';")
    assert re.search(r"https?:|\*", policy) is None


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("swagger-ui-bundle.js", "javascript"),
        ("swagger-ui.css", "text/css"),
        ("redoc.standalone.js", "javascript"),
        ("favicon.png", "image/png"),
    ],
)
async def test_assets(client: httpx.AsyncClient, name: str, content_type: str) -> None:
    asset = await client.get(f"/assets/{name}")

    assert asset.status_code == 200
    assert content_type in asset.headers["content-type"]
    assert len(asset.content) > 1000
    cached = await client.get(f"/assets/{name}", headers={"If-None-Match": asset.headers["etag"]})
    assert cached.status_code == 304


@pytest.mark.parametrize("path", ["/assets/", "/assets/nothing.js", "/assets/../main.py"])
async def test_only_assets_are_assets(client: httpx.AsyncClient, path: str) -> None:
    # As bytes: the client would resolve the dots itself.
    url = httpx.URL(scheme="http", host="wallet.test", raw_path=path.encode())

    assert (await client.get(url)).status_code == 404


async def test_welcome_and_liveness(client: httpx.AsyncClient) -> None:
    welcome = (await client.get("/")).json()

    assert welcome["status"] == "ok"
    for name in ("docs", "redoc", "openapi"):
        assert (await client.get(welcome[name])).status_code == 200
    document = (await client.get(welcome["openapi"])).json()
    assert document["info"]["version"] == VERSION
    assert (await client.get("/livez")).json() == {"status": "ok"}


async def test_readiness(client: httpx.AsyncClient) -> None:
    ready = await client.get("/readyz")

    assert ready.status_code == 200
    assert ready.json() | {"outbox_age_seconds": 0} == {
        "status": "ready",
        "database": "up",
        "redis": "up",
        "outbox_age_seconds": 0,
    }


async def test_the_service_is_ready_without_redis(database_url: str) -> None:
    async with serving(settings_for(database_url, redis_url="redis://127.0.0.1:1")) as client:
        ready = await client.get("/readyz")

    assert ready.status_code == 200
    assert (ready.json()["status"], ready.json()["redis"]) == ("ready", "down")


async def test_the_service_is_not_ready_on_another_schema(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path)
    await migrate(url)
    async with serving(settings_for(url)) as client:
        assert (await client.get("/readyz")).status_code == 200
        database = Database(DatabaseOptions(url=url))
        async with database.transaction() as session:
            connection = await session.connection()
            await connection.execute(text("UPDATE alembic_version SET version_num = 'other'"))
        await database.close()
        unready = await client.get("/readyz")
        alive = await client.get("/livez")

    assert unready.status_code == 503
    assert unready.json()["database"] == "outdated"
    assert unready.headers["retry-after"] == "1"
    assert alive.status_code == 200


@pytest.mark.promise("errors-problem")
@pytest.mark.parametrize(
    "path", ["/nothing", "/wallet/", "//wallet", "/transaction", "/transaction/1/ledger/", "/%00"]
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "OPTIONS"])
async def test_an_unknown_address_is_a_problem(
    client: httpx.AsyncClient, method: str, path: str
) -> None:
    url = httpx.URL(scheme="http", host="wallet.test", raw_path=path.encode())
    response = await client.request(method, url)

    assert response.status_code == 404
    assert response.headers["content-type"] == PROBLEM
    assert response.json()["code"] == "not_found"
    assert response.json()["request_id"] == response.headers["x-request-id"]


@pytest.mark.promise("errors-problem")
async def test_an_unknown_method_is_told_all_that_are_known(client: httpx.AsyncClient) -> None:
    document = create_app(settings_for("sqlite:///unused.db")).openapi()
    for path, operations in document["paths"].items():
        known = {method.upper() for method in operations}
        address = re.sub(r"\{[^}]+\}", "1", path)
        if path == "/users/me":
            assert known == {"GET"}
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"} - known:
            response = await client.request(method, address)
            assert response.status_code == 405, (method, path)
            assert response.headers["content-type"] == PROBLEM
            assert response.json()["code"] == "method_not_allowed"
            assert set(response.headers["allow"].split(", ")) - {"HEAD"} == known, path


@pytest.mark.parametrize("path", PAGES)
async def test_head_of_a_page_is_its_headers(client: httpx.AsyncClient, path: str) -> None:
    shown, head = await client.get(path), await client.head(path)

    assert head.status_code == 200
    assert head.headers["content-type"] == shown.headers["content-type"]
    assert head.headers["content-length"] == shown.headers["content-length"]


async def test_head_of_the_api_is_never_a_fault(client: httpx.AsyncClient) -> None:
    for path in ("/", "/livez", "/readyz", "/wallet", "/users/1", "/transaction/history"):
        assert (await client.head(path)).status_code in {200, 401, 404, 405}, path


@pytest.mark.promise("request-id")
@pytest.mark.parametrize("path", ["/livez", "/wallet", "/nothing", "/docs"])
@pytest.mark.parametrize("sent", ["a", "0b6c7d1e-9f6f-4b0e", "A.b_c-1", "x" * 128])
async def test_a_well_formed_request_id_is_kept(
    client: httpx.AsyncClient, path: str, sent: str
) -> None:
    response = await client.get(path, headers={"X-Request-ID": sent})

    assert response.headers.get_list("x-request-id") == [sent]
    if response.headers["content-type"] == PROBLEM:
        assert response.json()["request_id"] == sent


@pytest.mark.promise("request-id")
@pytest.mark.parametrize(
    "sent",
    [
        [],
        [b""],
        [b" "],
        [b"two words"],
        [b"x" * 129],
        [b"line\r\nSet-Cookie: a=b"],
        [b"<script>"],
        [b"caf\xc3\xa9"],
        [b"one", b"two"],
        [b'","level":"error'],
    ],
)
async def test_any_other_request_id_is_replaced(
    client: httpx.AsyncClient, sent: list[bytes]
) -> None:
    response = await client.get("/wallet", headers=[(b"x-request-id", value) for value in sent])

    (made,) = response.headers.get_list("x-request-id")
    assert MADE_ID.fullmatch(made)
    assert response.json()["request_id"] == made


async def test_other_origins_are_not_allowed_by_default(client: httpx.AsyncClient) -> None:
    response = await client.get("/livez", headers={"Origin": ORIGIN})

    assert "access-control-allow-origin" not in response.headers


@pytest.fixture(scope="module")
async def shared_client(database_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """The service with two other origins allowed."""
    origins = f"{ORIGIN}, https://admin.example.com"
    async with serving(settings_for(database_url, allowed_origins=origins)) as opened:
        yield opened


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "DELETE"])
async def test_an_allowed_origin_may_ask_first(
    shared_client: httpx.AsyncClient, method: str
) -> None:
    response = await shared_client.options(
        "/transaction/transfer",
        headers={
            "Origin": ORIGIN,
            "Access-Control-Request-Method": method,
            "Access-Control-Request-Headers": "authorization,content-type,x-idempotency-key",
        },
    )

    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] == ORIGIN
    assert method in response.headers["access-control-allow-methods"]
    assert "x-request-id" in response.headers


async def test_an_allowed_origin_may_read_answers(shared_client: httpx.AsyncClient) -> None:
    for path in ("/livez", "/wallet", "/nothing"):
        response = await shared_client.get(path, headers={"Origin": ORIGIN})
        assert response.headers["access-control-allow-origin"] == ORIGIN, path
        exposed = response.headers["access-control-expose-headers"].lower()
        for name in ("x-request-id", "x-cache-lookup", "idempotency-replayed", "retry-after"):
            assert name in exposed


async def test_another_origin_may_not(shared_client: httpx.AsyncClient) -> None:
    other = {"Origin": f"{ORIGIN}.example.net", "Access-Control-Request-Method": "PATCH"}
    asked = await shared_client.options("/transaction/transfer", headers=other)
    read = await shared_client.get("/livez", headers={"Origin": other["Origin"]})

    assert asked.status_code == 400
    for response in (asked, read):
        assert "access-control-allow-origin" not in response.headers
