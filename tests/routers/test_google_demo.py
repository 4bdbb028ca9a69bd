"""Development without Google: a provider that vouches for one demo person, and nowhere else."""

import httpx
import pytest

from integrations.demo_provider import CODES, DEMO_PERSON
from integrations.google import GoogleClient
from integrations.identity_providers import choose_provider
from tests.browser import CALLBACK, PATH, Browser, bearer, somebody
from tests.conftest import serving, settings_for
from tests.google_provider import NOWHERE, FakeGoogle
from tests.people import PASSWORD, People

pytestmark = pytest.mark.promise("S3-google-demo")


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("code", CODES)
async def test_both_codes_sign_the_demo_person_in(
    client: httpx.AsyncClient, code: str, method: str
) -> None:
    # Without a state: whoever calls it so has never been at /auth/google.
    response = await client.request(method, CALLBACK, params={"code": code})

    assert response.status_code == 200, response.text
    me = (await client.get("/users/me", headers=bearer(response))).json()
    assert (me["first_name"], me["email"]) == ("Demo", DEMO_PERSON.verified_email)
    wallet = (await client.get("/wallet", headers=bearer(response))).json()
    assert wallet["currency"] == "NGN"


async def test_a_browser_is_sent_there_and_back(client: httpx.AsyncClient) -> None:
    browser = Browser(client)
    back = httpx.URL(await browser.leave())

    assert back.path == CALLBACK
    response = await browser.get(CALLBACK, **dict(back.params))
    assert response.status_code == 200
    assert browser.cookies == {}


@pytest.mark.parametrize(
    "query",
    [
        {"code": "test2"},
        {"code": "TEST"},
        {"code": "test "},
        {"code": "test_code_jane@example.com"},
        {"code": ""},
        {},
        {"error": "access_denied"},
        {"code": "test", "email": "jane@example.com"},
        {"code": "test", "sub": "1"},
        {"code": "test", "user_id": "1"},
        {"code": "test", "id_token": "e30.e30."},
    ],
    ids=str,
)
async def test_it_signs_in_nobody_else(client: httpx.AsyncClient, query: dict[str, str]) -> None:
    response = await client.get(CALLBACK, params=query)

    assert response.status_code in {400, 401, 422}
    assert "access_token" not in response.text


async def test_whatever_else_is_asked_for_it_is_the_demo_person(
    client: httpx.AsyncClient, people: People
) -> None:
    jane = await people.sign_up()
    demo = await client.get(CALLBACK, params={"code": "test"})
    query = {"code": "test", "login_hint": jane.email, "username": jane.email, "name": "Jane"}
    for more in ({"headers": jane.headers}, {"data": {"email": jane.email}}):
        response = await client.request("POST", CALLBACK, params=query, **more)  # type: ignore[arg-type]  # either is an argument of it
        assert response.status_code == 200
        me = [
            (await client.get("/users/me", headers=bearer(item))).json()
            for item in (demo, response)
        ]
        assert me[0] == me[1]


async def test_nobody_becomes_the_demo_person(
    client: httpx.AsyncClient, browser: Browser, google: FakeGoogle
) -> None:
    email = DEMO_PERSON.verified_email
    await client.get(CALLBACK, params={"code": "test"})
    names = {"first_name": "Not", "last_name": "Them"}
    signed_up = await client.post("/signup", json={**names, "email": email, "password": PASSWORD})
    assert (signed_up.status_code, signed_up.json()["code"]) == (422, "invalid_request")
    for password in (PASSWORD, "demo", "-"):
        form = {"username": str(email), "password": password}
        assert (await client.post("/token", data=form)).status_code == 401
    # Nor does a real provider vouch for such an address, nor its `sub` mean this person.
    vouched = await browser.sign_in(google, somebody(email=email))
    assert vouched.json()["code"] == "google_email_unverified"
    namesake = await browser.sign_in(google, somebody(sub=DEMO_PERSON.sub))
    me = await client.get("/users/me", headers=bearer(namesake))
    assert me.json()["email"] != email


@pytest.mark.parametrize("query", [{"code": code} for code in CODES], ids=str)
async def test_in_production_there_is_no_such_person(
    database_url: str, redis_url: str, query: dict[str, str]
) -> None:
    settings = settings_for(database_url, redis_url=redis_url, environment="production")
    async with serving(settings) as client:
        for method, path in (("GET", CALLBACK), ("POST", CALLBACK), ("GET", PATH)):
            response = await client.request(method, path, params=query)
            assert response.status_code == 403
            assert response.json()["code"] == "google_sign_in_disabled"


@pytest.mark.parametrize(
    ("client_id", "in_production", "chosen"),
    [
        ("", False, "DemoProvider"),
        ("", True, "NoneType"),
        ("wallet", False, "GoogleProvider"),
        ("wallet", True, "GoogleProvider"),
    ],
)
def test_who_vouches(client_id: str, in_production: bool, chosen: str) -> None:
    client = GoogleClient(issuer=NOWHERE, client_id=client_id, client_secret="", redirect_uri="")

    assert type(choose_provider(client, in_production=in_production)).__name__ == chosen
