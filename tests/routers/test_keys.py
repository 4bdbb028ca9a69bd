"""People's own API keys: made, listed, rolled over and revoked by their owners alone."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from core.own_keys import ACTIVE_KEYS_LIMIT
from db.session import Database
from tests.api_keys import (
    create_key,
    expire,
    listed,
    made_key,
    own_key,
    revoke,
    roll_over,
    row_of,
)
from tests.people import People, Person
from tests.services import Service

BALANCE = "/wallet/balance"


def refusal(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["code"]


async def balance_by(person: Person, key: dict[str, Any]) -> httpx.Response:
    return await Service(person.client, key["api_key"]).get(BALANCE)


@pytest.mark.promise("S3-key-create")
async def test_a_key_is_made_and_works(people: People, database: Database) -> None:
    person = await people.with_wallet(7)
    response = await create_key(person, "transfer", "read", name="  My shop  ", expiry="1D")

    assert response.status_code == 201, response.text
    assert response.headers["cache-control"] == "no-store"
    made = response.json()
    assert set(made) == {"api_key", "id", "name", "permissions", "expires_at"}
    assert made["api_key"].startswith(f"sk_test_{made['id']}_")
    assert (made["name"], made["permissions"]) == ("My shop", ["read", "transfer"])
    row = await row_of(database, made["id"])
    assert row.user_id == person.id
    assert made["expires_at"].endswith("Z")
    assert datetime.fromisoformat(made["expires_at"]) == row.expires_at
    assert (await balance_by(person, made)).json()["balance"] == 7


@pytest.mark.promise("S3-key-create")
@pytest.mark.parametrize(
    ("expiry", "lifetime"),
    [
        ("1H", timedelta(hours=1)),
        ("1D", timedelta(days=1)),
        ("1M", timedelta(days=30)),
        ("1Y", timedelta(days=365)),
    ],
)
async def test_a_key_lasts_as_long_as_was_asked_for(
    people: People, database: Database, expiry: str, lifetime: timedelta
) -> None:
    made = (await create_key(await people.sign_up(), expiry=expiry)).json()

    row = await row_of(database, made["id"])
    assert row.expires_at - row.created_at == lifetime


@pytest.mark.promise("S3-key-limit")
async def test_five_may_be_active_and_what_has_ended_does_not_count(
    people: People, database: Database
) -> None:
    person, other = await people.sign_up(), await people.sign_up()
    made = [await own_key(person) for _ in range(ACTIVE_KEYS_LIMIT)]
    assert refusal(await create_key(person)) == (409, "too_many_api_keys")
    # They are counted for each person.
    await own_key(other)

    assert (await revoke(person, made[0]["id"])).status_code == 200
    await own_key(person)
    assert refusal(await create_key(person)) == (409, "too_many_api_keys")

    await expire(database, made[1]["id"])
    # What replaces an expired key counts, too.
    assert (await roll_over(person, made[1]["id"])).status_code == 201
    await expire(database, made[2]["id"])
    await own_key(person)
    assert refusal(await roll_over(person, made[2]["id"])) == (409, "too_many_api_keys")
    assert refusal(await create_key(person)) == (409, "too_many_api_keys")
    # It was refused, and so not used up.
    assert (await revoke(person, made[3]["id"])).status_code == 200
    assert (await roll_over(person, made[2]["id"])).status_code == 201
    assert sum(key["active"] for key in await listed(person)) == ACTIVE_KEYS_LIMIT


@pytest.mark.promise("S3-key-limit")
async def test_five_are_made_of_many_at_once(people: People) -> None:
    person = await people.sign_up()

    responses = await asyncio.gather(*[create_key(person) for _ in range(20)])

    made = [item for item in responses if item.status_code == 201]
    assert len(made) == ACTIVE_KEYS_LIMIT
    refused = {refusal(item) for item in responses if item.status_code != 201}
    assert refused == {(409, "too_many_api_keys")}


@pytest.mark.promise("S3-key-list")
async def test_keys_are_listed_to_their_owner_without_secrets(
    people: People, database: Database
) -> None:
    person, other = await people.with_wallet(0), await people.sign_up()
    used, over, ended = [await own_key(person, "read") for _ in range(3)]
    await own_key(other)
    await balance_by(person, used)
    await expire(database, over["id"])
    revoked = (await revoke(person, ended["id"])).json()

    # When it was used is noted apart from the request.
    for _ in range(100):
        keys = await listed(person)
        if keys[2]["last_used_at"]:
            break
        await asyncio.sleep(0.05)
    assert [key["id"] for key in keys] == [ended["id"], over["id"], used["id"]]
    assert [key["active"] for key in keys] == [False, False, True]
    assert [key["revoked_at"] for key in keys] == [revoked["revoked_at"], None, None]
    assert keys[2] == {
        "id": used["id"],
        "prefix": f"sk_test_{used['id']}",
        "name": "test",
        "permissions": ["read"],
        "active": True,
        "created_at": keys[2]["created_at"],
        "expires_at": used["expires_at"],
        "last_used_at": keys[2]["last_used_at"],
        "revoked_at": None,
    }
    assert keys[2]["last_used_at"] >= keys[2]["created_at"]
    for key in (used, over, ended):
        assert key["api_key"].rpartition("_")[2] not in str(keys)


@pytest.mark.promise("S3-key-list", "lists-stable")
async def test_keys_are_listed_in_pages(people: People) -> None:
    person = await people.sign_up()
    ids = [(await own_key(person))["id"] for _ in range(ACTIVE_KEYS_LIMIT)][::-1]

    page = (await person.get("/keys/list", limit=2)).json()
    assert ([key["id"] for key in page["keys"]], page["limit"], page["offset"]) == (ids[:2], 2, 0)
    following = (await person.get("/keys/list", limit=2, cursor=page["next_cursor"])).json()
    assert [key["id"] for key in following["keys"]] == ids[2:4]
    last = (await person.get("/keys/list", limit=2, offset=4)).json()
    assert ([key["id"] for key in last["keys"]], last["next_cursor"]) == (ids[4:], None)
    # A cursor is of one list.
    foreign = await person.get("/accounts", cursor=page["next_cursor"])
    assert refusal(foreign) == (422, "cursor_invalid")


@pytest.mark.promise("S3-key-rollover")
async def test_an_expired_key_is_rolled_over_once(people: People, database: Database) -> None:
    person = await people.with_wallet(7)
    old = (await create_key(person, "read", "deposit", name="till")).json()
    assert refusal(await roll_over(person, old["id"])) == (409, "api_key_not_expired")
    await expire(database, old["id"])
    assert refusal(await balance_by(person, old)) == (401, "api_key_expired")

    response = await roll_over(person, old["id"], "1M")

    assert response.status_code == 201, response.text
    assert response.headers["cache-control"] == "no-store"
    new = response.json()
    assert new["id"] != old["id"]
    assert new["api_key"].rpartition("_")[2] != old["api_key"].rpartition("_")[2]
    assert (new["name"], new["permissions"]) == ("till", ["read", "deposit"])
    row = await row_of(database, new["id"])
    assert row.expires_at - row.created_at == timedelta(days=30)
    assert (await balance_by(person, new)).status_code == 200
    # The old one will not come back, nor be rolled over again.
    assert refusal(await balance_by(person, old)) == (401, "api_key_revoked")
    assert refusal(await roll_over(person, old["id"])) == (409, "api_key_already_revoked")
    assert len(await listed(person)) == 2


@pytest.mark.promise("S3-key-rollover")
async def test_rolled_over_many_times_at_once_it_is_one_key(
    people: People, database: Database
) -> None:
    person = await people.sign_up()
    old = await own_key(person)
    await expire(database, old["id"])

    responses = await asyncio.gather(*[roll_over(person, old["id"]) for _ in range(10)])

    assert sorted(item.status_code for item in responses) == [201] + [409] * 9
    assert sum(key["active"] for key in await listed(person)) == 1


@pytest.mark.promise("S3-key-rollover")
async def test_a_revoked_key_is_not_rolled_over(people: People, database: Database) -> None:
    person = await people.sign_up()
    made = await own_key(person)
    await revoke(person, made["id"])
    assert refusal(await roll_over(person, made["id"])) == (409, "api_key_already_revoked")
    await expire(database, made["id"])
    assert refusal(await roll_over(person, made["id"])) == (409, "api_key_already_revoked")


@pytest.mark.promise("S3-key-revoke")
async def test_revoking_is_for_good_and_may_be_repeated(people: People) -> None:
    person = await people.with_wallet(7)
    made, kept = await own_key(person), await own_key(person)
    assert (await balance_by(person, made)).status_code == 200

    first = await revoke(person, made["id"])

    assert first.status_code == 200
    assert first.json().keys() == {"id", "revoked_at"}
    assert refusal(await balance_by(person, made)) == (401, "api_key_revoked")
    assert (await revoke(person, made["id"])).content == first.content
    assert (await balance_by(person, kept)).status_code == 200


@pytest.mark.promise("S3-key-revoke", "S3-key-rollover")
async def test_anothers_key_is_answered_as_one_that_does_not_exist(
    people: People, database: Database
) -> None:
    owner, other = await people.with_wallet(7), await people.sign_up()
    valid, over, ended = [await own_key(owner) for _ in range(3)]
    await expire(database, over["id"])
    await revoke(owner, ended["id"])
    before = [await row_of(database, key["id"]) for key in (valid, over, ended)]
    same = {"request_id": None}

    for act in (roll_over, revoke):
        unknown = await act(other, 2**62)
        assert refusal(unknown) == (404, "api_key_not_found")
        for key in (valid, over, ended):
            response = await act(other, key["id"])
            assert response.json() | same == unknown.json() | same
            assert response.headers.keys() == unknown.headers.keys()

    assert [await row_of(database, key["id"]) for key in (valid, over, ended)] == before
    assert await listed(other) == []
    assert (await balance_by(owner, valid)).status_code == 200


@pytest.mark.promise("S3-key-revoke")
async def test_nobody_revokes_a_key_of_the_house(people: People, database: Database) -> None:
    person, house = await people.sign_up(), await made_key(database)

    assert refusal(await revoke(person, house.id)) == (404, "api_key_not_found")
    assert (await row_of(database, house.id)).revoked_at is None


@pytest.mark.promise("S3-key-only")
async def test_a_key_with_every_permission_neither_makes_nor_ends_keys(
    people: People, database: Database
) -> None:
    person = await people.with_wallet(7)
    made = await own_key(person, "read", "deposit", "transfer")
    over = await own_key(person)
    await expire(database, over["id"])
    service = Service(person.client, made["api_key"])
    create = {"name": "x", "permissions": ["read"], "expiry": "1Y"}
    rollover = {"expired_key_id": over["id"], "expiry": "1Y"}

    for response in (
        await service.post("/keys/create", create),
        await service.get("/keys/list"),
        await service.post("/keys/rollover", rollover),
        await service.post(f"/keys/revoke/{made['id']}", None),
        await service.post("/logout", None),
        await service.post("/auth/google/link", {"link_token": "x"}),
        await service.get("/users/me"),
        await service.get("/wallet"),
        await service.get("/api/v1/assets"),
    ):
        assert refusal(response) == (403, "permission_denied")
    assert len(await listed(person)) == 2
