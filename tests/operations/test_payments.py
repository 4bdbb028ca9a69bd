"""`wallet payments` lists what an operator has to look into."""

import asyncio
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import text

from db.session import Database
from operations import payments
from tests.conftest import migrate, serving, settings_for, sqlite_url
from tests.people import People


async def test_what_needs_attention_is_listed(
    tmp_path: Path, redis_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    url = sqlite_url(tmp_path)
    await migrate(url)
    settings = settings_for(
        url,
        redis_url=redis_url,
        paystack_secret_key="sk_test_nobody",
        paystack_base_url="http://127.0.0.1:9",
    )
    assert await asyncio.to_thread(payments.show, settings) == 0
    async with serving(settings) as client:
        person = await People(client).with_wallet(10)
    reference = f"dep-{uuid4().hex}"
    database = Database(settings.database_options)
    async with database.transaction() as session:
        connection = await session.connection()
        await connection.execute(
            text(
                "INSERT INTO provider_payments (reference, kind, transaction_id, wallet_id,"
                " amount_minor, currency, state, failure_code, attention, attempts, created_at,"
                " due_at, ended_at) VALUES (:reference, 'deposit', 1, :wallet, 70000, 'NGN',"
                " 'FAILED', 'amount_mismatch', 'amount_mismatch', 0, :now, :now, :now)"
            ),
            {"reference": reference, "wallet": person.wallet_id, "now": "2026-01-01 00:00:00"},
        )
    await database.close()

    assert await asyncio.to_thread(payments.show, settings) == 1
    printed = capsys.readouterr().out
    assert "No payment needs attention." in printed
    # Whole, however narrow the terminal: it is to be pasted into the next command.
    assert reference in printed
    assert "amount_mismatch" in printed

    assert await asyncio.to_thread(payments.clear, settings, reference[:12], "Seen to") == 1
    assert "give it whole" in capsys.readouterr().err
    without_key = settings_for(url, redis_url=redis_url)
    for act in (
        lambda: payments.credit(without_key, reference),
        lambda: payments.end(without_key, reference, "arrived", "No payout"),
    ):
        assert await asyncio.to_thread(act) == 1
        assert "set PAYSTACK_SECRET_KEY" in capsys.readouterr().err

    # Nobody is there to confirm it.
    assert await asyncio.to_thread(payments.credit, settings, reference) == 1
    assert "does not answer" in capsys.readouterr().err
    assert await asyncio.to_thread(payments.end, settings, reference, "arrived", "No payout") == 1
    assert "Only a payout" in capsys.readouterr().err
    for expected in (0, 1):
        assert await asyncio.to_thread(payments.clear, settings, reference, "Seen to") == expected
    assert await asyncio.to_thread(payments.show, settings) == 0


async def test_a_database_that_is_not_ready(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = settings_for(sqlite_url(tmp_path))
    assert await asyncio.to_thread(payments.show, settings) == 3
    assert await asyncio.to_thread(payments.clear, settings, "dep-1", "Seen to") == 3
    assert capsys.readouterr().err
