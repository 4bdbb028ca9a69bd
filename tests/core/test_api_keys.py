"""API keys: only the right text is accepted, its end is effective at once, its use is noted."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from core import api_keys
from core.api_keys import LIVE, TEST, Permission
from core.errors import WalletError
from core.key_check import KeyCheck
from core.key_errors import ApiKeyExpired, ApiKeyInvalid, ApiKeyRevoked
from db.models import Tables
from db.session import Database
from tests.api_keys import made_key, row_of

pytestmark = pytest.mark.promise("api-keys")


@pytest.fixture
async def check(database: Database) -> AsyncIterator[KeyCheck]:
    opened = KeyCheck(database, prefix=TEST)
    yield opened
    await opened.stop()


async def change(database: Database, key_id: int, **values: Any) -> None:
    async with database.transaction() as session:
        statement = update(Tables.api_keys).where(Tables.api_keys.c.id == key_id)
        await (await session.connection()).execute(statement.values(**values))


async def refusal_of(check: KeyCheck, text: str) -> type[WalletError]:
    with pytest.raises(WalletError) as refused:
        await check.identify(text)
    return refused.type


async def test_a_key_tells_who_holds_it(database: Database, check: KeyCheck) -> None:
    made = await made_key(database)

    holder = await check.identify(made.text)

    assert (holder.key_id, holder.owner_id) == (made.id, None)
    assert holder.permissions == {Permission.CREDITS}


async def test_only_the_hash_of_a_long_secret_is_kept(database: Database) -> None:
    made = await made_key(database)
    other = await made_key(database)

    prefix, secret = f"{TEST}_{made.id}_", made.text.rpartition("_")[2]
    assert made.text == prefix + secret
    assert len(bytes.fromhex(secret)) * 8 == 256
    assert secret != other.text.rpartition("_")[2]
    row = await row_of(database, made.id)
    assert row.secret_sha256 == hashlib.sha256(secret.encode()).digest()
    assert secret not in repr(tuple(row))


async def test_whatever_differs_from_the_key_is_not_one(
    database: Database, check: KeyCheck
) -> None:
    made, other = await made_key(database), await made_key(database)
    secret = made.text.rpartition("_")[2]
    wrong = {
        "empty": "",
        "another's secret": f"{TEST}_{other.id}_{secret}",
        "unknown id": f"{TEST}_{10**18 - 1}_{secret}",
        "id zero": f"{TEST}_0_{secret}",
        "id with a zero": f"{TEST}_0{made.id}_{secret}",
        "id beyond any": f"{TEST}_{10**30}_{secret}",
        "other digits": f"{TEST}_١_{secret}",
        "of production": f"{LIVE}_{made.id}_{secret}",
        "no prefix": f"{made.id}_{secret}",
        "no secret": f"{TEST}_{made.id}_",
        "a shorter secret": made.text[:-1],
        "a longer secret": f"{made.text}0",
        "one digit off": made.text[:-1] + ("0" if made.text[-1] != "0" else "1"),
        "in capitals": made.text[:-64] + "A" * 64,
        "the hash itself": made.text[:-64] + hashlib.sha256(secret.encode()).hexdigest(),
        "zeros": made.text[:-64] + "0" * 64,
        "a line feed": f"{made.text}\n",
        "a space": f" {made.text}",
        "two": f"{made.text}, {made.text}",
    }
    accepted = {
        name: text
        for name, text in wrong.items()
        if await refusal_of(check, text) is not ApiKeyInvalid
    }

    assert accepted == {}


async def test_a_key_of_production_is_one_in_production(database: Database) -> None:
    made = await made_key(database, prefix=LIVE)
    check = KeyCheck(database, prefix=LIVE)

    assert (await check.identify(made.text)).key_id == made.id
    await check.stop()


async def test_revoking_is_effective_at_once_and_for_good(
    database: Database, check: KeyCheck
) -> None:
    made = await made_key(database)
    await check.identify(made.text)

    assert await api_keys.revoke(database, made.id)
    assert await refusal_of(check, made.text) is ApiKeyRevoked

    revoked_at = (await row_of(database, made.id)).revoked_at
    assert await api_keys.revoke(database, made.id)
    assert (await row_of(database, made.id)).revoked_at == revoked_at


async def test_there_is_nothing_to_revoke_under_an_unknown_id(database: Database) -> None:
    assert not await api_keys.revoke(database, 10**17)


async def test_a_key_ends_when_its_time_is_over(database: Database, check: KeyCheck) -> None:
    made = await made_key(database, lifetime=timedelta(seconds=0.5))
    await check.identify(made.text)

    await asyncio.sleep(0.6)

    assert await refusal_of(check, made.text) is ApiKeyExpired
    never = await made_key(database, lifetime=None)
    assert (await check.identify(never.text)).key_id == never.id


async def test_only_who_knows_the_secret_learns_that_a_key_is_over(
    database: Database, check: KeyCheck
) -> None:
    made = await made_key(database, lifetime=timedelta())
    wrong = made.text[:-64] + "0" * 64
    assert await refusal_of(check, wrong) is ApiKeyInvalid
    assert await refusal_of(check, made.text) is ApiKeyExpired

    await api_keys.revoke(database, made.id)
    assert await refusal_of(check, wrong) is ApiKeyInvalid
    # It will not come back, whatever its time was.
    assert await refusal_of(check, made.text) is ApiKeyRevoked


async def test_many_keys_are_asked_for_with_one_query(
    database: Database, check: KeyCheck, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [await made_key(database) for _ in range(5)]
    queries = 0
    query = check._rows._run

    async def counted(ids: Any) -> Any:
        nonlocal queries
        queries += 1
        return await query(ids)

    monkeypatch.setattr(check._rows, "_run", counted)

    holders = await asyncio.gather(*[check.identify(key.text) for key in made * 10])

    assert [holder.key_id for holder in holders] == [key.id for key in made] * 10
    assert queries == 1


async def test_a_use_is_noted_at_most_once_a_minute(database: Database) -> None:
    made = await made_key(database)

    async def use() -> Any:
        """Use the key in a process of its own, which remembers nothing."""
        check = KeyCheck(database, prefix=TEST)
        await asyncio.gather(*[check.identify(made.text) for _ in range(20)])
        await check.stop()
        return (await row_of(database, made.id)).last_used_at

    first = await use()
    assert first is not None
    assert await use() == first

    await change(database, made.id, last_used_at=first - timedelta(minutes=2))
    assert await use() >= first


async def test_a_use_that_cannot_be_noted_keeps_nobody_out(
    database: Database, check: KeyCheck, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await made_key(database)

    def broken() -> None:
        raise OSError("no connection")

    monkeypatch.setattr(database, "transaction", broken)
    for _ in range(3):
        assert (await check.identify(made.text)).key_id == made.id
    await check.stop()
    monkeypatch.undo()

    assert (await row_of(database, made.id)).last_used_at is None


async def test_keys_are_listed_without_their_secrets(database: Database) -> None:
    valid, over = await made_key(database), await made_key(database, lifetime=timedelta())
    ended = await made_key(database)
    await api_keys.revoke(database, ended.id)

    async with database.reading() as session:
        found = {key.id: key for key in await api_keys.list_keys(session)}

    assert list(found) == sorted(found, reverse=True)
    assert [found[key.id].expired for key in (valid, over, ended)] == [False, True, False]
    assert found[ended.id].revoked_at is not None
    assert found[valid.id].revoked_at is None
    for key in (valid, over, ended):
        assert key.text.rpartition("_")[2] not in repr(found)
