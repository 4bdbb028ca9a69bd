"""The page at `/`: who gets it, what is in it, and that it needs nothing but itself."""

import re
from collections.abc import AsyncIterator
from itertools import pairwise
from urllib.parse import unquote, urljoin, urlsplit

import httpx
import pytest

from main import create_app
from routers.landing import STATIC_PATH
from tests.conftest import migrate, serving, settings_for, sqlite_url
from tests.markup import Markup

pytestmark = pytest.mark.promise("landing")

OF_CHROMIUM = (
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,"
    "*/*;q=0.8,application/signed-exchange;v=b3;q=0.7"
)
OF_FIREFOX = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
LOCAL = "http://wallet.test"


@pytest.fixture(scope="module")
async def database_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One engine is enough here: hides the fixture that has two."""
    url = sqlite_url(tmp_path_factory.mktemp("landing"))
    await migrate(url)
    return url


@pytest.fixture(scope="module")
async def client(database_url: str) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(settings_for(database_url)) as opened:
        yield opened


@pytest.fixture(scope="module")
async def response(client: httpx.AsyncClient) -> httpx.Response:
    return await client.get("/", headers={"Accept": OF_CHROMIUM})


@pytest.fixture(scope="module")
def page(response: httpx.Response) -> Markup:
    assert response.status_code == 200
    return Markup.of(response.text)


# --- who gets it --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "accept",
    [
        OF_CHROMIUM,
        OF_FIREFOX,
        "text/html",
        "TEXT/HTML",
        " text/html ; charset=utf-8 ; q=0.5 ",
        "application/json;q=0.9, text/html",
        "application/json, text/html",
        "*/*, text/html;q=0.001",
        "text/html;q=0, text/html",
    ],
)
async def test_whoever_names_html_gets_the_page(client: httpx.AsyncClient, accept: str) -> None:
    answer = await client.get("/", headers={"Accept": accept})

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["vary"] == "Accept"
    assert answer.text.startswith("<!doctype html>")


@pytest.mark.parametrize(
    "accept",
    [
        None,
        "",
        "*/*",
        "text/*",
        "application/json",
        "application/json, text/plain, */*",
        "application/xhtml+xml",
        "text/html;q=0",
        "text/html;q=0.000",
        "text/html;q=nan",
        "text/html;q=-1",
        "text/html;q=1e3",
        "text/html;q=0.5, application/json",
        "text/htmlx",
        "text/html/x",
        ";;,,;q=",
    ],
)
async def test_everybody_else_gets_json(client: httpx.AsyncClient, accept: str | None) -> None:
    # curl sends */*; the client would too if it was not told otherwise.
    headers = httpx.Headers() if accept is None else httpx.Headers({"Accept": accept})
    request = client.build_request("GET", "/", headers=headers)
    if accept is None:
        del request.headers["accept"]
    answer = await client.send(request)

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["vary"] == "Accept"
    assert answer.json() == {
        "status": "ok",
        "name": "Wallet",
        "docs": "/docs",
        "redoc": "/redoc",
        "openapi": "/openapi.json",
    }


async def test_accept_may_come_in_several_headers(client: httpx.AsyncClient) -> None:
    answer = await client.get("/", headers=[("Accept", "image/png"), ("Accept", "text/html")])

    assert answer.headers["content-type"] == "text/html; charset=utf-8"


# --- nothing but itself -------------------------------------------------------------------------


async def test_everything_it_loads_or_leads_to_is_here(
    client: httpx.AsyncClient, page: Markup
) -> None:
    anchors = set(page.values("id"))
    document = (await client.get("/openapi.json")).json()
    operations = {
        f"{operation['tags'][0]}/{operation['operationId']}"
        for methods in document["paths"].values()
        for operation in methods.values()
    }
    links = set(page.values("href", "src", "action", "srcset", "data", "poster", "xlink:href"))
    assert len(links) > len(operations)
    for link in links:
        target = urlsplit(urljoin(f"{LOCAL}/", link))
        assert f"{target.scheme}://{target.netloc}" == LOCAL, link
        if target.path == "/":
            assert target.fragment in anchors, link
            continue
        answer = await client.get(target.path)
        assert answer.status_code == 200, link
        if target.fragment:
            assert target.path == "/docs"
            assert unquote(target.fragment).lstrip("/") in operations, link


def test_browsers_are_told_to_load_nothing_else(response: httpx.Response) -> None:
    policy = dict(
        part.strip().partition(" ")[::2]
        for part in response.headers["content-security-policy"].split(";")
    )

    assert policy == {
        "default-src": "'none'",
        "style-src": "'self'",
        "img-src": "'self' data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["referrer-policy"] == "no-referrer"


def test_nothing_on_it_is_against_that_policy(page: Markup) -> None:
    assert page.all("script", "style", "iframe", "object", "embed", "form", "base") == []
    for element in page.elements:
        forbidden = [name for name in element.attributes if name == "style" or name[:2] == "on"]
        assert forbidden == [], element
    assert not [link for link in page.values("href", "src") if ":" in link]


async def test_assets_are_kept_for_ever_under_a_name_of_their_content(
    client: httpx.AsyncClient, page: Markup
) -> None:
    assets = {link for link in page.values("href", "src") if link.startswith(STATIC_PATH)}
    kinds = {}
    for address in assets:
        assert re.fullmatch(rf"{STATIC_PATH}/\w+\.[0-9a-f]{{12}}\.\w+", address)
        asset = await client.get(address)
        kinds[asset.headers["content-type"]] = asset
        assert asset.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert asset.headers["x-content-type-options"] == "nosniff"
        known = {"If-None-Match": asset.headers["etag"]}
        assert (await client.get(address, headers=known)).status_code == 304
        assert (await client.head(address)).headers["content-length"] == str(len(asset.content))

    assert set(kinds) == {"text/css; charset=utf-8", "image/svg+xml"}
    sheet = kinds["text/css; charset=utf-8"].text
    assert re.findall(r"@import|url\(|//", sheet) == []
    assert "prefers-color-scheme: dark" in sheet
    assert ":focus-visible" in sheet


@pytest.mark.parametrize(
    "name",
    ["", "landing.css", "landing.000000000000.css", "..%2Flanding.html", "../landing.html", "%00"],
)
async def test_nothing_else_is_an_asset(client: httpx.AsyncClient, name: str) -> None:
    # As bytes: the client would resolve the dots itself.
    path = f"{STATIC_PATH}/{name}".encode()
    url = httpx.URL(scheme="http", host="wallet.test", raw_path=path)

    assert (await client.get(url)).status_code == 404


# --- what is in it ------------------------------------------------------------------------------


def test_it_can_be_read_by_everybody(page: Markup) -> None:
    (html,) = page.all("html")
    assert html.attributes["lang"] == "en"
    (viewport,) = [tag for tag in page.all("meta") if tag.attributes.get("name") == "viewport"]
    assert viewport.attributes["content"] == "width=device-width, initial-scale=1"
    assert [title for title in page.all("title") if title.inside == ("html", "head")]

    ids = page.values("id")
    assert len(ids) == len(set(ids))
    for names in page.values("aria-labelledby"):
        assert set(names.split()) <= set(ids)
    assert len(page.all("main")) == len(page.all("h1")) == 1
    tops = [element.tag for element in page.elements if element.inside == ("html", "body")]
    assert tops == ["a", "header", "main", "footer"]
    # The first thing that the tabulator reaches leads past the rest.
    (skip, *_) = page.all("a")
    assert skip.attributes["href"] == f"#{page.all('main')[0].attributes['id']}"
    assert all(nav.attributes["aria-label"] for nav in page.all("nav"))
    assert all("tabindex" not in item.attributes for item in page.elements if item.tag != "main")


def test_headings_are_in_order(page: Markup) -> None:
    levels = [int(heading.tag[1]) for heading in page.all("h1", "h2", "h3", "h4", "h5", "h6")]

    assert levels[0] == 1
    for above, below in pairwise(levels):
        assert below <= above + 1
    assert all(heading.text.strip() for heading in page.all("h1", "h2", "h3", "h4"))


def test_pictures_have_words(page: Markup) -> None:
    pictures = [svg for svg in page.all("svg") if svg.attributes.get("aria-hidden") != "true"]
    assert len(pictures) == 2
    assert page.all("img") == []
    by_id = {item.attributes["id"]: item for item in page.elements if "id" in item.attributes}
    for picture in pictures:
        assert picture.attributes["role"] == "img"
        title, description = (by_id[name] for name in picture.attributes["aria-labelledby"].split())
        assert (title.tag, description.tag) == ("title", "desc")
        assert title.inside[-1] == description.inside[-1] == "svg"
        assert title.text.strip()
        assert len(description.text) > 100


def test_every_operation_has_its_example(page: Markup) -> None:
    document = create_app(settings_for("sqlite:///unused.db")).openapi()
    shown = {item.attributes["id"]: item.text for item in page.by_class("call")}

    operations = {
        operation["operationId"]: (method.upper(), path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    assert set(shown) == set(operations)
    for name, (method, path, operation) in operations.items():
        assert shown[name].split()[:2] == [method, path]
        assert "curl" in shown[name]
        # What the document puts between backticks is code on the page.
        assert operation["description"].replace("`", "") in shown[name]
    for link in ("/docs", "/redoc", "/openapi.json"):
        assert link in page.values("href")


async def test_the_name_is_text_whatever_it_is(database_url: str) -> None:
    name = "<script>alert(1)</script> & \"Sons'"
    async with serving(settings_for(database_url, app_name=name)) as client:
        answer = await client.get("/", headers={"Accept": "text/html"})

    page = Markup.of(answer.text)
    assert page.all("script") == []
    assert "<script" not in answer.text
    assert page.all("title")[0].text.startswith(name)
    (brand,) = page.by_class("brand")
    assert brand.text.strip() == name
    assert brand.attributes["aria-label"].startswith(name)
