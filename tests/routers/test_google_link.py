"""Signing in with Google where an account with that email was here before."""

import pytest

from db.session import Database
from tests.browser import PATH, Browser, bearer, known_of, somebody
from tests.google_provider import FakeGoogle
from tests.people import People, Person

pytestmark = pytest.mark.promise("S3-google-link")


@pytest.fixture
async def jane(people: People) -> Person:
    """Somebody with an account, a password, and no wallet yet."""
    return await people.sign_up()


async def test_an_account_is_linked_once_its_owner_says_so(
    browser: Browser, google: FakeGoogle, jane: Person
) -> None:
    claims = somebody(email=jane.email.upper())
    refused = await browser.sign_in(google, claims)
    assert (refused.status_code, refused.json()["code"]) == (409, "link_confirmation_required")
    assert browser.cookies == {}
    # Nothing has come of it so far.
    assert (await browser.sign_in(google, claims)).status_code == 409

    body = {"link_token": refused.json()["link_token"]}
    linked = await jane.send("POST", f"{PATH}/link", body)
    assert linked.status_code == 200, linked.text
    assert (await jane.send("POST", f"{PATH}/link", body)).status_code == 200, "twice is like once"

    response = await browser.sign_in(google, claims)
    assert response.status_code == 200
    me = (await jane.client.get("/users/me", headers=bearer(response))).json()
    assert me["id"] == jane.id
    # This was the first sign-in with Google, and there was no wallet.
    wallet = await jane.client.get("/wallet", headers=bearer(response))
    assert wallet.json()["currency"] == "NGN"


@pytest.mark.promise("S3-google-wallet")
async def test_who_has_a_wallet_keeps_it_and_gets_no_other(
    browser: Browser, google: FakeGoogle, people: People
) -> None:
    jane = await people.with_wallet(700, "USD")
    claims = somebody(email=jane.email)
    token = (await browser.sign_in(google, claims)).json()["link_token"]
    await jane.send("POST", f"{PATH}/link", {"link_token": token})

    assert (await browser.sign_in(google, claims)).status_code == 200
    wallet = (await jane.get("/wallet")).json()
    assert (wallet["id"], wallet["balance"], wallet["currency"]) == (jane.wallet_id, 700, "USD")


async def test_nobody_else_can_link(
    browser: Browser, google: FakeGoogle, jane: Person, people: People, database: Database
) -> None:
    claims = somebody(email=jane.email)
    refused = (await browser.sign_in(google, claims)).json()
    joe = await people.sign_up("Joe")
    body = {"link_token": refused["link_token"]}

    nobody = await joe.client.post(f"{PATH}/link", json=body)
    assert (nobody.status_code, nobody.json()["code"]) == (401, "unauthenticated")
    other = await joe.send("POST", f"{PATH}/link", body)
    assert (other.status_code, other.json()["code"]) == (422, "link_token_invalid")
    # Nor is any other token of ours one of these.
    for token in (jane.access_token, jane.refresh_token, body["link_token"][:-4], "x"):
        wrong = await jane.send("POST", f"{PATH}/link", {"link_token": token})
        assert (wrong.status_code, wrong.json()["code"]) == (422, "link_token_invalid")
    headers = {"Authorization": f"Bearer {body['link_token']}"}
    assert (await jane.client.get("/users/me", headers=headers)).status_code == 401
    assert (await known_of(database, claims)).identities == 0
    assert (await browser.sign_in(google, claims)).status_code == 409


async def test_an_unverified_email_does_not_even_ask(
    browser: Browser, google: FakeGoogle, jane: Person
) -> None:
    response = await browser.sign_in(google, somebody(email=jane.email, email_verified=False))

    assert (response.status_code, response.json()["code"]) == (403, "google_email_unverified")
    assert "link_token" not in response.json()


async def test_a_google_account_signs_in_one_person_only(
    browser: Browser, google: FakeGoogle, jane: Person, people: People
) -> None:
    joe = await people.sign_up("Joe")
    claims = somebody(email=jane.email)
    for_jane = (await browser.sign_in(google, claims)).json()["link_token"]
    # Meanwhile the account at Google gets another address, which is Joe's.
    for_joe = (await browser.sign_in(google, claims | {"email": joe.email})).json()["link_token"]

    assert (await joe.send("POST", f"{PATH}/link", {"link_token": for_joe})).status_code == 200
    taken = await jane.send("POST", f"{PATH}/link", {"link_token": for_jane})
    assert (taken.status_code, taken.json()["code"]) == (409, "google_account_taken")
