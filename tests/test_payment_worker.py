"""Payments end to end: real API, worker, Redis and database; only Paystack is a stand-in."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from sqlalchemy import update

from db.models import Tables
from db.session import Database
from tests.paystack import SECRET, serving_paystack
from tests.people import People
from tests.processes import ApiProcess, WorkerProcess
from tests.races import environment_for

pytestmark = pytest.mark.promise("S3-healed")


async def test_the_worker_heals_what_nobody_heard_of(
    database: Database, database_url: str, redis_url: str, tmp_path: Path
) -> None:
    async with serving_paystack() as provider:
        environment = environment_for(database_url, redis_url) | {
            "PAYSTACK_SECRET_KEY": SECRET,
            "PAYSTACK_BASE_URL": provider.base_url,
            "MAIL_FOLDER": str(tmp_path / "mail"),
            "LOG_LEVEL": "INFO",
        }
        api = await asyncio.to_thread(
            ApiProcess(environment, log_path=tmp_path / "api.log").__enter__
        )
        async with httpx.AsyncClient(base_url=api.url, timeout=30) as client:
            person = await People(client).with_wallet(25)
            begun = await person.send("POST", "/wallet/deposit", {"amount": 10})
            body = {"amount": 5, "bank_code": "058", "account_number": "0123456789"}
            paid_out = (await person.send("POST", "/wallet/withdraw", body)).json()["reference"]
            provider.pay(begun.json()["reference"])
            provider.end(paid_out, "failed")
            # The API is gone when Paystack calls.
            api.kill()
        await make_due(database, person.wallet_id)
        worker = await asyncio.to_thread(
            WorkerProcess(environment, log_path=tmp_path / "worker.log").__enter__
        )
        try:
            for _ in range(200):
                if await balance_of(database, person.wallet_id) == 3500:
                    break
                await asyncio.sleep(0.1)
            assert await balance_of(database, person.wallet_id) == 3500, worker.log()
        finally:
            await asyncio.to_thread(worker.close)
            await asyncio.to_thread(api.close)
        assert SECRET not in worker.log() + api.log()


async def make_due(database: Database, wallet_id: int) -> None:
    payments = Tables.provider_payments
    async with database.transaction() as session:
        connection = await session.connection()
        await connection.execute(
            update(payments)
            .where(payments.c.wallet_id == wallet_id)
            .values(due_at=datetime.now(UTC))
        )


async def balance_of(database: Database, wallet_id: int) -> int:
    wallets = Tables.wallets
    async with database.reading() as session:
        connection = await session.connection()
        rows = await connection.execute(
            wallets.select()
            .with_only_columns(wallets.c.balance_minor)
            .where(wallets.c.id == wallet_id)
        )
        return int(rows.scalar_one())
