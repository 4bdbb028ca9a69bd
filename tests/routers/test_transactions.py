"""Moving money, and what history and ledger tell of it."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

from db.session import Database
from tests.people import People, Person
from tests.refusing import house_wallet


def refusal(response: Any) -> tuple[int, str]:
    return response.status_code, response.json()["code"]


@pytest.mark.promise("deposit", "money-wire")
async def test_a_deposit(people: People) -> None:
    person = await people.with_wallet(100)

    response = await person.deposit("50.25")

    assert response.status_code == 200
    moved = response.json()
    assert set(moved) == {"wallet_id", "amount", "current_balance", "transaction_id"}
    assert (moved["wallet_id"], moved["amount"], moved["current_balance"]) == (
        person.wallet_id,
        50.25,
        150.25,
    )
    assert '"current_balance":150.25' in response.text
    assert '"current_balance":151' in (await person.deposit(0.75)).text


@pytest.mark.promise("withdraw")
async def test_a_withdrawal(people: People) -> None:
    person = await people.with_wallet(100)

    response = await person.withdraw(30)

    assert response.status_code == 200
    moved = response.json()
    assert (moved["amount"], moved["current_balance"]) == (30, 70)
    assert set(moved) == {"wallet_id", "amount", "current_balance", "transaction_id"}


@pytest.mark.promise("transfer", "S0-15")
async def test_a_transfer_and_its_entries(people: People) -> None:
    sender, receiver = await people.with_wallet(100), await people.with_wallet(5)

    response = await sender.transfer(receiver.wallet_id, 40)

    assert response.status_code == 200
    moved = response.json()
    assert moved == {
        "wallet_id": sender.wallet_id,
        "recipient_wallet_id": receiver.wallet_id,
        "amount": 40,
        "current_balance": 60,
        "transaction_id": moved["transaction_id"],
    }
    assert (await sender.balance(), await receiver.balance()) == (60, 45)
    assert await snapshots(sender, moved["transaction_id"]) == [
        ("DEBIT", 40, 60),
        ("CREDIT", 40, None),
    ]
    assert await snapshots(receiver, moved["transaction_id"]) == [
        ("DEBIT", 40, None),
        ("CREDIT", 40, 45),
    ]


async def snapshots(person: Person, transaction_id: int) -> list[tuple[str, float, float | None]]:
    entries = (await person.get(f"/transaction/{transaction_id}/ledger")).json()
    fields = {
        "id",
        "transaction_id",
        "wallet_id",
        "entry_type",
        "amount",
        "currency",
        "balance_snapshot",
        "created_at",
    }
    assert all(set(entry) == fields for entry in entries)
    return [(entry["entry_type"], entry["amount"], entry["balance_snapshot"]) for entry in entries]


@pytest.mark.promise("ledger")
async def test_only_a_party_sees_the_ledger(people: People) -> None:
    sender, receiver, stranger = [await people.with_wallet(10) for _ in range(3)]
    moved = (await sender.transfer(receiver.wallet_id, 1)).json()
    path = f"/transaction/{moved['transaction_id']}/ledger"

    assert refusal(await stranger.get(path)) == (404, "transaction_not_found")
    assert refusal(await sender.get("/transaction/999999999/ledger")) == (
        404,
        "transaction_not_found",
    )
    deposit = (await sender.deposit(1)).json()
    own = (await sender.get(f"/transaction/{deposit['transaction_id']}/ledger")).json()
    assert [(entry["wallet_id"], entry["balance_snapshot"]) for entry in own] == [
        (None, None),
        (sender.wallet_id, 10),
    ]


@pytest.mark.promise("refusals", "errors-status", "S2-3")
async def test_refusals_change_nothing_and_are_recorded(people: People, database: Database) -> None:
    sender, receiver = await people.with_wallet(10), await people.with_wallet(10)
    foreign, closed = await people.with_wallet(10, "USD"), await people.with_wallet()
    await closed.send("DELETE", "/wallet")
    system_id = await house_wallet(database)
    tried = [
        (await sender.withdraw(11), (402, "insufficient_funds")),
        (await sender.transfer(receiver.wallet_id, 11), (402, "insufficient_funds")),
        (await sender.transfer(sender.wallet_id, 1), (422, "self_transfer")),
        (await sender.transfer(foreign.wallet_id, 1), (422, "currency_mismatch")),
        (await sender.deposit(1, "USD"), (422, "currency_mismatch")),
        (await sender.transfer(999_999_999, 1), (404, "recipient_not_found")),
        (await sender.transfer(closed.wallet_id, 1), (404, "recipient_not_found")),
        (await sender.transfer(system_id, 1), (404, "recipient_not_found")),
    ]

    for response, expected in tried:
        assert refusal(response) == expected
        assert response.headers["content-type"] == "application/problem+json"
    assert await sender.balance() == 10
    failed = (await sender.history())[: len(tried)]
    assert [item["state"] for item in failed] == ["FAILED"] * len(tried)
    assert (await sender.get(f"/transaction/{failed[0]['id']}/ledger")).json() == []
    # The receiver learns nothing of attempts that failed.
    assert len(await receiver.history()) == 1
    missing = await receiver.get(f"/transaction/{failed[-2]['id']}/ledger")
    assert missing.status_code == 404


@pytest.mark.promise("money-range", "refusals")
async def test_a_balance_has_a_ceiling(people: People) -> None:
    full, sender = await people.with_wallet("9999999999999.99"), await people.with_wallet(1)

    assert refusal(await full.deposit("0.01")) == (422, "balance_limit_exceeded")
    assert refusal(await sender.transfer(full.wallet_id, "0.01")) == (422, "balance_limit_exceeded")
    assert (await full.get("/wallet")).text.find('"balance":9999999999999.99') > 0


@pytest.mark.promise("history", "times-utc")
async def test_the_history_tells_who_and_what(people: People) -> None:
    jane = await people.with_wallet(0, first_name="Jane", last_name="Doe")
    joe = await people.with_wallet(0, first_name="Joe", last_name="Roe")
    await jane.deposit(100)
    await jane.transfer(joe.wallet_id, 30)
    await jane.withdraw(20)
    await jane.withdraw(1000)

    lines = await jane.history()

    assert [
        (line["type"], line["amount"], line["sender"], line["receiver"], line["state"])
        for line in lines
    ] == [
        ("withdrawal", 1000, "Jane Doe", "External Destination", "FAILED"),
        ("withdrawal", 20, "Jane Doe", "External Destination", "SUCCESS"),
        ("transfer", 30, "Jane Doe", "Joe Roe", "SUCCESS"),
        ("deposit", 100, "External Source", "Jane Doe", "SUCCESS"),
    ]
    fields = {"id", "amount", "currency", "type", "date", "sender", "receiver", "state"}
    assert all(set(line) == fields and line["date"].endswith("Z") for line in lines)
    [received] = await joe.history()
    assert (received["sender"], received["receiver"]) == ("Jane Doe", "Joe Roe")


@pytest.mark.promise("lists-stable")
async def test_pages_by_offset_and_by_cursor_are_the_whole_list(people: People) -> None:
    person, other = await people.with_wallet(100), await people.with_wallet(100)
    for n in range(12):
        await (
            person.transfer(other.wallet_id, 1) if n % 2 else other.transfer(person.wallet_id, 1)
        )
    everything = [line["id"] for line in await person.history()]
    assert everything == sorted(everything, reverse=True)
    assert len(everything) == 13

    default = (await person.get("/transaction/history")).json()
    assert (len(default["transactions"]), default["limit"], default["offset"]) == (10, 10, 0)

    by_offset = [
        line["id"] for offset in (0, 5, 10) for line in await person.history(limit=5, offset=offset)
    ]
    assert by_offset == everything

    by_cursor: list[int] = []
    parameters: dict[str, Any] = {"limit": 4}
    while True:
        page = (await person.get("/transaction/history", **parameters)).json()
        by_cursor += [line["id"] for line in page["transactions"]]
        if page["next_cursor"] is None:
            break
        # What happens meanwhile does not shift the pages that follow.
        await person.deposit(1)
        parameters["cursor"] = page["next_cursor"]
    assert by_cursor == everything


@pytest.mark.promise("history", "lists-stable")
async def test_the_history_is_of_all_accounts_however_many(people: People) -> None:
    person, other = await people.with_wallet(100), await people.with_wallet(100)
    wallet, others = await person.wallet_number(), await other.wallet_number()
    await person.deposit(1)
    for accounts in range(2, 7):
        account = await person.open_account()
        # Between two of one's own, from the newest to another's, and from another's to it.
        for source, target, who in (
            (wallet, account, person),
            (account, others, person),
            (others, account, other),
        ):
            assert (await who.send_money(source, target, 1)).status_code == 201

        everything = await person.history()
        assert len(everything) == 2 + 3 * (accounts - 1)
        seen: list[Any] = []
        parameters: dict[str, Any] = {"limit": 2}
        while parameters.get("cursor", "") is not None:
            page = (await person.get("/transaction/history", **parameters)).json()
            seen += page["transactions"]
            parameters["cursor"] = page["next_cursor"]
        assert seen == everything
        transfers = await person.history(type="transfer", to=everything[0]["date"])
        assert len(transfers) == 3 * (accounts - 1)


@pytest.mark.promise("history")
async def test_the_history_is_filtered(people: People) -> None:
    person = await people.with_wallet(100)
    await person.withdraw(1)
    await person.withdraw(2)
    types = [line["type"] for line in await person.history(type="withdrawal")]
    assert types == ["withdrawal", "withdrawal"]
    newest, *_, oldest = await person.history()
    after = datetime.fromisoformat(oldest["date"]) + timedelta(microseconds=1)
    later = await person.history(**{"from": after.isoformat()})
    assert oldest["id"] not in [line["id"] for line in later]
    assert newest["id"] in [line["id"] for line in later]
    earlier = await person.history(to=oldest["date"])
    assert [line["id"] for line in earlier] == [oldest["id"]]


@pytest.mark.promise("lists-stable")
async def test_the_order_does_not_depend_on_the_clock(people: People) -> None:
    person = await people.with_wallet(100)
    # All of one batch have the same time.
    responses = await asyncio.gather(*[person.deposit(1) for _ in range(30)])
    ids = [response.json()["transaction_id"] for response in responses]

    lines = await person.history()

    assert [line["id"] for line in lines[:30]] == sorted(ids, reverse=True)
    balances = {
        response.json()["transaction_id"]: response.json()["current_balance"]
        for response in responses
    }
    assert [balances[n] for n in sorted(ids)] == list(range(101, 131))
