"""Signing up, in and out, and looking people up."""

import asyncio
import statistics
import time
from uuid import uuid4

import httpx
import pytest

from integrations import redis as guarded
from tests.conftest import serving, settings_for
from tests.people import PASSWORD, People, sign_in
from tests.processes import SECRET_KEY

JANE = {"first_name": "Jane", "last_name": "Doe", "password": PASSWORD}


@pytest.mark.promise("signup", "users-me")
async def test_signing_up_shows_the_person_and_nothing_else(client: httpx.AsyncClient) -> None:
    response = await client.post("/signup", json=JANE | {"email": "Jane.Signup@Example.com"})

    assert response.status_code == 201
    person = response.json()
    assert set(person) == {"id", "first_name", "last_name", "email"}
    tokens = await sign_in(client, "jane.signup@example.com")
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert (await client.get("/users/me", headers=headers)).json() == person


@pytest.mark.promise("signup")
async def test_an_email_is_taken_in_any_case_even_at_once(client: httpx.AsyncClient) -> None:
    emails = ["twin@example.com", "TWIN@example.com", "Twin@EXAMPLE.com"] * 4
    responses = await asyncio.gather(
        *[client.post("/signup", json=JANE | {"email": email}) for email in emails]
    )

    codes = sorted(response.status_code for response in responses)
    assert codes == [201] + [409] * 11
    refused = [response.json()["code"] for response in responses if response.status_code == 409]
    assert set(refused) == {"email_taken"}


@pytest.mark.promise("signup")
@pytest.mark.parametrize(
    ("password", "status"),
    [
        ("securepass123", 201),
        ("пароль-долгий", 201),
        ("🔑" * 128, 201),
        ("short77", 422),
        ("x" * 129, 422),
        ("password", 422),
        ("PassWord1", 422),
        ("12345678", 422),
        ("qwerty123", 422),
    ],
)
async def test_passwords(client: httpx.AsyncClient, password: str, status: int) -> None:
    email = f"{uuid4().hex}@example.com"
    response = await client.post("/signup", json=JANE | {"email": email, "password": password})

    assert response.status_code == status
    if response.status_code == 201:
        await sign_in(client, email, password)


@pytest.mark.promise("token")
async def test_signing_in_gives_tokens(people: People) -> None:
    person = await people.sign_up()

    tokens = await sign_in(people.client, person.email.upper())

    assert set(tokens) == {"access_token", "token_type", "expires_in", "refresh_token"}
    assert (await person.get("/wallet")).headers["Cache-Control"] == "no-store"
    assert tokens["token_type"] == "bearer"
    assert tokens["expires_in"] == 30 * 60


@pytest.mark.promise("token")
async def test_unknown_email_and_wrong_password_are_told_alike(people: People) -> None:
    person = await people.sign_up()
    answers = [
        await people.client.post("/token", data={"username": username, "password": password})
        for username, password in (
            (person.email, "wrong password"),
            ("nobody@example.com", PASSWORD),
            ("not an email", "x"),
        )
    ]

    assert [answer.status_code for answer in answers] == [401] * 3
    bodies = [answer.json() | {"request_id": None} for answer in answers]
    assert bodies[0] == bodies[1] == bodies[2]
    assert bodies[0]["code"] == "invalid_credentials"


@pytest.mark.promise("token")
@pytest.mark.alone
async def test_unknown_email_and_wrong_password_take_equally_long(
    database_url: str, redis_url: str
) -> None:
    settings = settings_for(database_url, redis_url=redis_url, password_hash_rounds=9)
    async with serving(settings) as client:
        person = await People(client).sign_up()

        async def seconds(username: str) -> float:
            started = time.perf_counter()
            await client.post("/token", data={"username": username, "password": "wrong password"})
            return time.perf_counter() - started

        await seconds(person.email)
        pairs = [(await seconds(person.email), await seconds("no@example.com")) for _ in range(9)]
    known, unknown = (statistics.median(column) for column in zip(*pairs, strict=True))
    # A hash of this cost takes some 25 ms; without it the unknown would be ten times faster.
    assert 0.5 < unknown / known < 2


@pytest.mark.promise("refresh")
async def test_a_refresh_token_is_used_once(people: People) -> None:
    person = await people.sign_up()
    client = people.client

    async def refresh(token: str) -> httpx.Response:
        return await client.post("/token/refresh", json={"refresh_token": token})

    rotated = await refresh(person.refresh_token)
    assert rotated.status_code == 200
    assert set(rotated.json()) == {"access_token", "token_type", "expires_in", "refresh_token"}
    newest = rotated.json()
    headers = {"Authorization": f"Bearer {newest['access_token']}"}
    assert (await client.get("/users/me", headers=headers)).status_code == 200

    reused = await refresh(person.refresh_token)

    assert reused.status_code == 401
    assert reused.json()["code"] == "invalid_refresh_token"
    # Whoever used it, the family has ended: the rotated tokens and the first access token too.
    assert (await refresh(newest["refresh_token"])).status_code == 401
    assert (await client.get("/users/me", headers=headers)).status_code == 401
    assert (await person.get("/users/me")).status_code == 401
    assert (await refresh("never-issued")).status_code == 401


@pytest.mark.promise("refresh")
async def test_of_many_refreshes_at_once_one_succeeds(people: People) -> None:
    person = await people.sign_up()
    responses = await asyncio.gather(
        *[
            people.client.post("/token/refresh", json={"refresh_token": person.refresh_token})
            for _ in range(8)
        ]
    )

    assert sorted(response.status_code for response in responses) == [200] + [401] * 7


@pytest.mark.promise("logout")
async def test_signing_out_ends_every_token_of_that_sign_in_only(people: People) -> None:
    person = await people.sign_up()
    other = await sign_in(people.client, person.email)

    response = await person.send("POST", "/logout")

    assert response.status_code == 204
    assert (await person.get("/users/me")).status_code == 401
    refreshed = await people.client.post(
        "/token/refresh", json={"refresh_token": person.refresh_token}
    )
    assert refreshed.status_code == 401
    headers = {"Authorization": f"Bearer {other['access_token']}"}
    assert (await people.client.get("/users/me", headers=headers)).status_code == 200


@pytest.mark.promise("logout")
async def test_signing_out_reaches_other_processes_at_once(
    people: People, database_url: str, redis_url: str
) -> None:
    person = await people.sign_up()
    async with serving(settings_for(database_url, redis_url=redis_url)) as other:
        assert (await other.get("/users/me", headers=person.headers)).status_code == 200
        await person.send("POST", "/logout")
        assert (await other.get("/users/me", headers=person.headers)).status_code == 401


@pytest.mark.promise("users-other")
async def test_others_see_a_masked_email(people: People) -> None:
    jane, joe = await people.sign_up("Jane", "Doe"), await people.sign_up("Joe", "Roe")
    path = f"/users/{jane.id}"
    masked = f"{jane.email[0]}***@example.com"

    assert (await jane.get(path)).json()["email"] == jane.email
    assert (await joe.get(path)).json()["email"] == masked
    assert (await people.client.get(path)).json() == {
        "id": jane.id,
        "first_name": "Jane",
        "last_name": "Doe",
        "email": masked,
    }
    missing = await people.client.get("/users/999999999")
    assert (missing.status_code, missing.json()["code"]) == (404, "user_not_found")


async def test_limits_count_per_address_account_and_person(
    database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # On a busy machine a reply may take longer, and then each process counts by itself.
    monkeypatch.setattr(guarded, "WAIT_SECONDS", 5)
    settings = settings_for(
        database_url,
        redis_url=redis_url,
        rate_limit_enabled=True,
        rate_limit_signup_per_ip="3/minute",
        rate_limit_sign_in_per_account="4/minute",
        rate_limit_transactions_per_user="3/minute",
    )
    async with serving(settings) as first, serving(settings) as second:
        # Each process counts for the other: the counts are in Redis.
        person = await People(first).with_wallet(100)
        statuses = [
            (await client.post("/signup", json=JANE | {"email": f"l{n}@example.com"})).status_code
            for n, client in enumerate([second, first, second])
        ]
        assert statuses.count(429) >= 1
        signed_in = [
            (
                await client.post("/token", data={"username": person.email, "password": PASSWORD})
            ).status_code
            for client in (second, first, second, first, second)
        ]
        assert 429 in signed_in
        moved = [await person.deposit(1) for _ in range(4)]
        assert [response.status_code for response in moved][-1] == 429
        refused = moved[-1]
        assert refused.json()["code"] == "rate_limited"
        assert 1 <= int(refused.headers["Retry-After"]) <= 60


async def test_the_secret_of_the_tests_signs_their_tokens(people: People) -> None:
    # Guards the access tests: a token made with this secret would be accepted, so one that is
    # refused there is refused for what it says.
    from jose import jwt

    person = await people.sign_up()
    claims = jwt.decode(
        person.access_token, SECRET_KEY, algorithms=["HS256"], audience="wallet-api"
    )
    assert claims["sub"] == str(person.id)
    assert {"iss", "aud", "exp", "iat", "jti", "sub"} <= set(claims)
