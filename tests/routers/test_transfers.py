"""Transfers between accounts by number: what moves, who sees it, and what is refused."""

from uuid import UUID, uuid4

import pytest

from core.public_ids import Kind, make_public_id, read_public_id
from tests.people import People


@pytest.mark.promise("S2-transfer")
async def test_money_moves_between_accounts(people: People) -> None:
    jane, john = await people.with_wallet(100), await people.with_wallet(7)
    source, target = await jane.wallet_number(), await john.open_account(name="Rent")

    sent = await jane.send_money(source, target, "60.50", description="May")

    assert sent.status_code == 201
    transfer = sent.json()
    assert UUID(transfer["id"]).version == 7
    assert transfer | {"id": "", "created_at": ""} == {
        "id": "",
        "state": "SUCCESS",
        "failure_code": None,
        "from_account": source,
        "to_account": target,
        "amount": 60.5,
        "currency": "NGN",
        "description": "May",
        "created_at": "",
    }
    for person in (jane, john):
        assert (await person.get(f"/transfers/{transfer['id']}")).json() == transfer
    assert await jane.balance() == 39.5
    assert (await john.get(f"/accounts/{target}")).json()["balance"] == 60.5
    assert await john.balance() == 7, "the wallet is another account"
    assert (await john.history())[0]["type"] == "transfer"


@pytest.mark.promise("S2-transfer-id", "S2-3")
async def test_a_refused_transfer_is_recorded_under_an_id(people: People) -> None:
    jane, john = await people.with_wallet(100), await people.with_wallet()
    source, target = await jane.wallet_number(), await john.wallet_number()
    dollars, key = await jane.open_account("USD"), str(uuid4())

    refused = await jane.send_money(source, target, 101, key=key)

    assert (refused.status_code, refused.json()["code"]) == (402, "insufficient_funds")
    shown = await jane.get(f"/transfers/{refused.json()['transfer_id']}")
    assert (shown.json()["state"], shown.json()["failure_code"]) == ("FAILED", "insufficient_funds")
    # It stays refused, also when it could be paid; and it is not the other's business.
    await jane.deposit(1000)
    assert (await jane.send_money(source, target, 101, key=key)).content == refused.content
    assert (await john.get(f"/transfers/{refused.json()['transfer_id']}")).status_code == 404
    expected = {
        (source, source, "NGN"): "self_transfer",
        (source, dollars, "NGN"): "currency_mismatch",
        (source, target, "USD"): "currency_mismatch",
        (source, "530172648913", "NGN"): "recipient_not_found",
    }
    for (own, other, currency), code in expected.items():
        problem = (await jane.send_money(own, other, 1, currency)).json()
        failed = (await jane.get(f"/transfers/{problem['transfer_id']}")).json()
        assert (problem["code"], failed["failure_code"]) == (code, code)


@pytest.mark.promise("S2-transfer")
async def test_only_from_an_account_of_ones_own(people: People) -> None:
    jane, john = await people.with_wallet(100), await people.with_wallet(100)
    janes, johns = await jane.wallet_number(), await john.wallet_number()

    for taken in (janes, "530172648913"):
        refused = await john.send_money(taken, johns, 1)
        assert (refused.status_code, refused.json()["code"]) == (404, "account_not_found")
        assert "transfer_id" not in refused.json(), "there is nothing to record it on"
    assert (await jane.balance(), await john.balance()) == (100, 100)


@pytest.mark.promise("S2-transfer", "S0-13")
async def test_a_transfer_needs_a_key(people: People) -> None:
    jane = await people.with_wallet(100)
    number = await jane.wallet_number()
    body = {"from_account": number, "to_account": number, "amount": 1, "currency": "NGN"}

    refused = await jane.send("POST", "/transfers", body)

    assert (refused.status_code, refused.json()["code"]) == (400, "idempotency_key_required")


@pytest.mark.promise("S2-ids")
async def test_an_id_that_was_not_handed_out_names_nothing(people: People) -> None:
    jane = await people.with_wallet(100)
    number = await jane.open_account()
    transfer = (await jane.send_money(await jane.wallet_number(), number, 1)).json()
    account = (await jane.get(f"/accounts/{number}")).json()
    named = read_public_id(Kind.TRANSFER, UUID(transfer["id"]))
    assert named is not None
    row_id, made = named
    wrong = [
        make_public_id(Kind.TRANSFER, row_id, made.replace(microsecond=made.microsecond ^ 1)),
        make_public_id(Kind.TRANSFER, row_id - 1, made),
        make_public_id(Kind.ACCOUNT, row_id, made),
        UUID(account["id"]),
        uuid4(),
    ]

    for public_id in wrong:
        response = await jane.get(f"/transfers/{public_id}")
        assert (response.status_code, response.json()["code"]) == (404, "transfer_not_found")
    for text in ("1", "x", transfer["id"][:-1], f"{{{transfer['id']}}}", "%00"):
        assert (await jane.get(f"/transfers/{text}")).status_code == 422
    assert (await jane.get(f"/transfers/{transfer['id'].upper()}")).json() == transfer
    # Nor is a deposit a transfer.
    deposit = await jane.deposit(1)
    entry = (await jane.get(f"/accounts/{await jane.wallet_number()}/ledger", limit=1)).json()
    made = read_public_id(Kind.ENTRY, UUID(entry["entries"][0]["id"]))[1]  # type: ignore[index]  # one of ours
    guessed = make_public_id(Kind.TRANSFER, deposit.json()["transaction_id"], made)
    assert (await jane.get(f"/transfers/{guessed}")).status_code == 404
