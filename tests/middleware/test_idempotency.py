"""The same key never acts twice, and its first answer comes back from wherever it is found."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import httpx
import pytest

from core.commands import Answer, Attempt
from core.errors import Unavailable
from core.poster import Poster
from db.lean import LeanConnection
from db.session import Database
from integrations import redis as guarded
from integrations.redis import GuardedRedis
from middleware.answer_cache import AnswerCache, KeyedRequest
from tests.conftest import serving, settings_for
from tests.people import People, Person

NOBODY_LISTENS = "redis://127.0.0.1:1/0"


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    # On a busy machine a reply may take longer than a request would wait for it; then the request
    # does without Redis, rightly, and is answered otherwise than it is here.
    monkeypatch.setattr(guarded, "WAIT_SECONDS", 5)


def lookup(response: httpx.Response) -> tuple[str | None, str | None]:
    return response.headers.get("X-Cache-Lookup"), response.headers.get("Idempotency-Replayed")


def elsewhere(person: Person, client: httpx.AsyncClient) -> Person:
    """The same person at another process."""
    return Person(client, person.id, person.email, person.access_token, "", person.wallet_id)


@pytest.mark.promise("S0-14")
async def test_the_first_answer_comes_again(people: People) -> None:
    person = await people.with_wallet(100)
    key = str(uuid4())
    first = await person.withdraw(30, key=key)

    again = await person.withdraw("30.00", key=key)

    assert lookup(first) == ("MISS", None)
    assert lookup(again) == ("HIT", "true")
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.headers["X-Request-ID"] != first.headers["X-Request-ID"]
    assert await person.balance() == 70


@pytest.mark.promise("S0-14", "S4-8")
async def test_without_redis_the_database_gives_it(people: People, database_url: str) -> None:
    person = await people.with_wallet(100)
    key = str(uuid4())
    async with serving(settings_for(database_url, redis_url=NOBODY_LISTENS)) as lonely:
        alone = elsewhere(person, lonely)
        first = await alone.withdraw(30, key=key)
        again = await alone.withdraw(30, key=key)
    assert lookup(first) == ("MISS", None)
    assert lookup(again) == ("DB", "true")
    assert again.content == first.content
    # And it is found there by those who have a Redis that never saw it.
    assert lookup(await person.withdraw(30, key=key)) == ("DB", "true")
    assert lookup(await person.withdraw(30, key=key)) == ("HIT", "true")
    assert await person.balance() == 70


@pytest.mark.promise("S0-13")
async def test_a_movement_needs_one_well_formed_key(people: People) -> None:
    person = await people.with_wallet(100)
    body = {"amount": 1, "currency": "NGN"}

    async def code(*headers: tuple[str, str]) -> str:
        response = await person.client.patch(
            "/transaction/deposit", json=body, headers=[*person.headers.items(), *headers]
        )
        return "" if response.status_code == 200 else str(response.json()["code"])

    assert await code() == "idempotency_key_required"
    assert await code(("X-Idempotency-Key", "")) == "idempotency_key_invalid"
    assert await code(("X-Idempotency-Key", "a b")) == "idempotency_key_invalid"
    assert await code(("X-Idempotency-Key", "x" * 256)) == "idempotency_key_invalid"
    two = [("X-Idempotency-Key", "a"), ("Idempotency-Key", "a")]
    assert await code(*two) == "idempotency_key_invalid"
    assert await code(("Idempotency-Key", "x" * 255)) == ""
    assert await code(("X-Idempotency-Key", "x" * 255)) == "", "both names mean the same key"
    assert await person.balance() == 101


@pytest.mark.promise("S0-13")
async def test_elsewhere_the_key_is_optional_and_honoured(people: People) -> None:
    person = await people.sign_up()
    body = {"currency": "NGN", "balance": 5}

    first = await person.send("POST", "/wallet", body, key="open")
    again = await person.send("POST", "/wallet", body, key="open")
    other = await person.send("POST", "/wallet", body)

    assert (again.status_code, again.content) == (201, first.content)
    assert other.status_code == 409
    await person.withdraw(5)
    closed = await person.send("DELETE", "/wallet", key="close")
    assert (await person.send("DELETE", "/wallet", key="close")).content == closed.content
    assert (await person.send("DELETE", "/wallet")).status_code == 404


@pytest.mark.promise("key-scope")
async def test_another_persons_same_key_is_unrelated(people: People) -> None:
    jane, joe = await people.with_wallet(100), await people.with_wallet(200)
    key = str(uuid4())

    responses = [await person.withdraw(10, key=key) for person in (jane, joe)]
    again = [await person.withdraw(10, key=key) for person in (jane, joe)]

    assert [lookup(response) for response in responses] == [("MISS", None)] * 2
    assert [lookup(response) for response in again] == [("HIT", "true")] * 2
    assert [response.content for response in again] == [response.content for response in responses]
    assert [await jane.balance(), await joe.balance()] == [90, 190]


@pytest.mark.promise("S2-5")
@pytest.mark.parametrize("redis", ["shared", "none"])
async def test_a_key_stands_for_one_request(
    people: People, database_url: str, redis_url: str, redis: str
) -> None:
    url = redis_url if redis == "shared" else NOBODY_LISTENS
    jane, joe = await people.with_wallet(100), await people.with_wallet()
    async with serving(settings_for(database_url, redis_url=url)) as client:
        person, key = elsewhere(jane, client), str(uuid4())
        first = await person.transfer(joe.wallet_id, 10, key=key)
        others = [
            await person.transfer(joe.wallet_id, 11, key=key),
            await person.transfer(joe.wallet_id + 1, 10, key=key),
            await person.withdraw(10, key=key),
            await person.deposit(10, key=key),
            await person.send("DELETE", "/wallet", key=key),
        ]
        assert first.status_code == 200
        assert [response.status_code for response in others] == [422] * 5
        codes = {response.json()["code"] for response in others}
        assert codes == {"idempotency_key_reused"}
        # The key goes on standing for its first request.
        assert (await person.transfer(joe.wallet_id, 10, key=key)).content == first.content
    assert (await jane.balance(), await joe.balance()) == (90, 10)


@pytest.mark.promise("S2-5")
@pytest.mark.parametrize("redis", ["shared", "none"])
async def test_a_key_stands_for_one_kind_of_movement(
    people: People, database_url: str, redis_url: str, redis: str
) -> None:
    url = redis_url if redis == "shared" else NOBODY_LISTENS
    jane = await people.with_wallet(100)
    async with serving(settings_for(database_url, redis_url=url)) as client:
        person, key = elsewhere(jane, client), str(uuid4())
        assert (await person.withdraw(10, key=key)).status_code == 200
        # The same body, to another address.
        assert (await person.deposit(10, key=key)).status_code == 422
    assert await jane.balance() == 90


@pytest.mark.promise("key-remembered")
async def test_refusals_inside_the_transaction_are_remembered(
    people: People, database_url: str
) -> None:
    person = await people.with_wallet(10)
    key = str(uuid4())
    refused = await person.withdraw(20, key=key)
    assert refused.status_code == 402
    await person.deposit(100)

    again = await person.withdraw(20, key=key)

    assert lookup(again) == ("HIT", "true")
    assert (again.status_code, again.content) == (402, refused.content)
    assert again.headers["content-type"] == "application/problem+json"
    async with serving(settings_for(database_url, redis_url=NOBODY_LISTENS)) as lonely:
        from_database = await elsewhere(person, lonely).withdraw(20, key=key)
    assert (from_database.status_code, from_database.content) == (402, refused.content)
    assert await person.balance() == 110


@pytest.mark.promise("key-remembered", "key-authenticated")
async def test_what_was_refused_before_it_is_not_remembered(people: People) -> None:
    person = await people.with_wallet(10)
    key = str(uuid4())
    headers = {"X-Idempotency-Key": key}
    path, good = "/transaction/withdraw", {"amount": 1, "currency": "NGN"}
    client = people.client

    nobody = await client.patch(path, json=good, headers=headers)
    bad = [
        await client.patch(path, content=b"{", headers=headers | person.headers),
        await person.withdraw("0.001", key=key),
        await person.withdraw(-1, key=key),
    ]
    first = await person.withdraw(1, key=key)
    stranger = await client.patch(path, json=good, headers=headers)

    assert [nobody.status_code, stranger.status_code] == [401, 401]
    assert [response.status_code for response in bad] == [415, 422, 422]
    assert lookup(first) == ("MISS", None)
    await person.send("POST", "/logout")
    # What is cached is for those who would be let in anyway.
    assert (await person.withdraw(1, key=key)).status_code == 401


class Held:
    """Holds up the first attempt that reaches the poster; the others pass."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        post = Poster.post
        self._let_go: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
        self._reached = asyncio.Event()

        async def held(poster: Poster, attempt: Attempt) -> Answer:
            await self._hold()
            return await post(poster, attempt)

        monkeypatch.setattr(Poster, "post", held)

    async def reached(self) -> None:
        """Wait until an attempt is held."""
        await self._reached.wait()

    def let_go(self, failure: Exception | None = None) -> None:
        """Let it pass, or fail."""
        self._let_go.set_result(failure)

    async def _hold(self) -> None:
        if not self._reached.is_set():
            self._reached.set()
            failure = await self._let_go
            if failure is not None:
                raise failure


@pytest.mark.promise("key-in-flight")
async def test_a_second_waits_for_the_first_and_then_says_so(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = await people.with_wallet(10)
    key = str(uuid4())
    held = Held(monkeypatch)
    first = asyncio.create_task(person.withdraw(1, key=key))
    await held.reached()

    in_flight = await person.withdraw(1, key=key)
    waiting = [asyncio.create_task(person.withdraw(amount, key=key)) for amount in (1, 1, 2)]
    await asyncio.sleep(0.1)
    held.let_go()

    assert (in_flight.status_code, in_flight.json()["code"]) == (409, "idempotency_in_flight")
    assert in_flight.headers["Retry-After"] == "1"
    *again, other = await asyncio.gather(*waiting)
    assert lookup(await first) == ("MISS", None)
    assert [lookup(response) for response in again] == [("DB", "true")] * 2
    assert {response.content for response in again} == {(await first).content}
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert await person.balance() == 9


@pytest.mark.promise("key-in-flight", "key-remembered")
async def test_whoever_waits_for_what_fails_acts(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = await people.with_wallet(10)
    key = str(uuid4())
    held = Held(monkeypatch)
    first = asyncio.create_task(person.withdraw(1, key=key))
    await held.reached()
    waiting = [asyncio.create_task(person.withdraw(1, key=key)) for _ in range(3)]
    await asyncio.sleep(0.1)

    held.let_go(Unavailable())

    responses = await asyncio.gather(*waiting)
    assert (await first).status_code == 503
    assert sorted(lookup(response) for response in responses) == [
        ("DB", "true"),
        ("DB", "true"),
        ("MISS", None),
    ]
    # Nothing is left behind that a later one would wait for.
    assert lookup(await person.withdraw(1, key=key)) == ("HIT", "true")
    assert await person.balance() == 9


@pytest.mark.promise("key-in-flight", "S2-5")
async def test_whoever_waits_in_vain_is_answered_by_the_database(
    people: People, database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = await people.with_wallet(10)
    key = str(uuid4())
    held = Held(monkeypatch)
    stuck = asyncio.create_task(person.withdraw(1, key=key))
    await held.reached()
    async with serving(settings_for(database_url, redis_url=redis_url)) as another:
        first = await elsewhere(person, another).withdraw(1, key=key)

    again, other = await asyncio.gather(person.withdraw(1, key=key), person.withdraw(2, key=key))
    held.let_go()

    assert lookup(first) == ("MISS", None)
    assert lookup(again) == ("DB", "true")
    assert lookup(await stuck) == ("DB", "true")
    assert again.content == first.content == (await stuck).content
    assert (other.status_code, other.json().get("code")) == (422, "idempotency_key_reused")
    assert await person.balance() == 9


@pytest.mark.promise("S0-14", "S4-8")
async def test_another_process_asks_the_database_once_and_then_redis(
    people: People, database_url: str, redis_url: str
) -> None:
    person = await people.with_wallet(10)
    key = str(uuid4())
    first = await person.withdraw(1, key=key)
    async with serving(settings_for(database_url, redis_url=redis_url)) as another:
        there = elsewhere(person, another)
        again = [await there.withdraw(1, key=key) for _ in range(3)]
    assert [lookup(response)[0] for response in again] == ["DB", "HIT", "HIT"]
    assert {response.content for response in again} == {first.content}
    assert await person.balance() == 9


async def test_an_answer_that_is_not_durable_is_kept_nowhere(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = await people.with_wallet(100)
    key = str(uuid4())

    transaction = Database.lean_transaction

    @asynccontextmanager
    async def lose(*arguments: Any, **options: Any) -> AsyncIterator[LeanConnection]:
        async with transaction(*arguments, **options) as connection:
            yield connection
            raise ConnectionResetError("lost before COMMIT arrived")

    with monkeypatch.context() as patched:
        patched.setattr(Database, "lean_transaction", lose)
        lost = await person.withdraw(30, key=key)
    again = await person.withdraw(30, key=key)

    assert lost.status_code == 503
    assert (again.status_code, lookup(again)) == (200, ("MISS", None))
    assert await person.balance() == 70


class CountedRedis(GuardedRedis):
    """Counts what it is asked."""

    asked = 0

    async def execute(self, *command: Any) -> Any:
        self.asked += 1
        return await super().execute(*command)


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[CountedRedis]:
    counted = CountedRedis(redis_url)
    yield counted
    await counted.close()


@pytest.fixture
async def cache(redis: CountedRedis, database: Database) -> AsyncIterator[AnswerCache]:
    cache = AnswerCache(redis, database, uuid4().hex)
    yield cache
    await cache.stop()


def keyed(key: str = "key") -> KeyedRequest:
    return KeyedRequest(1, key, b"x" * 32)


async def test_one_redis_may_serve_two_databases(
    cache: AnswerCache, redis: CountedRedis, database: Database
) -> None:
    other, request = AnswerCache(redis, database, uuid4().hex), keyed()
    assert [await one.claim(request) for one in (cache, other)] == [None, None]
    request.answer = Answer(200, "{}", replayed=False)

    cache.settle(request)
    other.settle(keyed())

    assert await cache.claim(keyed()) == (Answer(200, "{}", replayed=True), b"HIT")
    assert await other.claim(keyed()) is None


async def test_those_who_ask_at_once_are_asked_for_at_once(
    cache: AnswerCache, redis: CountedRedis
) -> None:
    requests = [keyed(f"key-{n}") for n in range(50)]
    assert await asyncio.gather(*[cache.claim(one) for one in requests]) == [None] * 50
    assert redis.asked == 0, "what was never met need not be looked up"
    for one in requests[:25]:
        one.answer = Answer(200, one.key, replayed=False)
    for one in requests:
        cache.settle(one)

    found = await asyncio.gather(*[cache.claim(one) for one in requests])

    assert [item and item[0].body for item in found[:25]] == [one.key for one in requests[:25]]
    assert found[25:] == [None] * 25
    assert redis.asked <= 2, "not one for each"


async def test_nobody_asks_for_what_is_under_way(cache: AnswerCache, redis: CountedRedis) -> None:
    first = keyed()
    assert await cache.claim(first) is None
    herd = [asyncio.create_task(cache.claim(keyed())) for _ in range(100)]
    await asyncio.sleep(0.05)

    first.answer = Answer(200, "{}", replayed=False)
    cache.settle(first)

    assert await asyncio.gather(*herd) == [(Answer(200, "{}", replayed=True), b"DB")] * 100
    await cache.stop()
    assert redis.asked == 1, "the answer is kept, and was never asked for"


@pytest.mark.promise("key-in-flight", "S4-8")
@pytest.mark.parametrize("redis", ["shared", "none"])
async def test_the_same_key_a_hundred_times_at_once_moves_once(
    people: People, database_url: str, redis_url: str, redis: str
) -> None:
    url = redis_url if redis == "shared" else NOBODY_LISTENS
    person = await people.with_wallet(100)
    async with serving(settings_for(database_url, redis_url=url)) as client:
        at_once = elsewhere(person, client)
        responses = await asyncio.gather(*[at_once.withdraw(1, key="same") for _ in range(100)])
    assert {response.status_code for response in responses} <= {200, 409}
    answers = {response.content for response in responses if response.status_code == 200}
    assert len(answers) == 1
    assert await person.balance() == 99
