"""Killed at any step of a payment, money is in one place, and whoever comes next brings it home."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from typing import Any, cast

import pytest
from sqlmodel.ext.asyncio.session import AsyncSession

from core import payments as payments_module
from core.commands import Answer, Attempt
from core.payment_commands import PaymentKind
from core.payments import Payments
from core.poster import Poster
from core.provider import Heard, PaymentProvider, Verdict
from db.session import Database
from integrations.paystack import Paystack
from tests.payment_desk import Desk
from tests.paystack import SECRET
from tests.people import People, Person

pytestmark = pytest.mark.promise("S3-healed")

STEPS_LIMIT = 40


class Killed(Exception):
    """The process ended here."""


class Life:
    """How many steps a process has left. Each touch of a database or provider is two: before, when
    nothing is done, and after, when it is done and nobody knows.
    """

    def __init__(self, steps: int):
        self.steps = steps

    def step(self) -> None:
        if self.steps == 0:
            raise Killed
        self.steps -= 1


class DyingDatabase:
    """A database, as a process knows it that ends in the middle."""

    def __init__(self, database: Database, life: Life):
        self._database = database
        self._life = life

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        self._life.step()
        async with self._database.transaction() as session:
            yield session
        self._life.step()

    def reading(self) -> AbstractAsyncContextManager[AsyncSession]:
        return self._database.reading()


class DyingPoster:
    """A poster, as a process knows it that ends in the middle."""

    def __init__(self, poster: Poster, life: Life):
        self._poster = poster
        self._life = life

    async def post(self, attempt: Attempt) -> Answer:
        self._life.step()
        answer = await self._poster.post(attempt)
        self._life.step()
        return answer


class DyingProvider:
    """A provider, as a process knows it that ends in the middle."""

    def __init__(self, provider: Paystack, life: Life):
        self._provider = provider
        self._life = life

    def __getattr__(self, name: str) -> Any:
        asked = getattr(self._provider, name)

        async def ask(*positional: object, **named: object) -> Any:
            self._life.step()
            answer = await asked(*positional, **named)
            self._life.step()
            return answer

        return ask


class Process:
    """Payments in a process that lives for so many steps, beside `desk`, which lives on."""

    def __init__(self, beside: Desk, steps: int):
        self._client = Paystack(secret_key=SECRET, base_url=beside.provider.base_url)
        self.life = Life(steps)
        self.payments = Payments(
            cast(Database, DyingDatabase(beside.database, self.life)),
            cast(Poster, DyingPoster(beside.poster, self.life)),
            cast(PaymentProvider, DyingProvider(self._client, self.life)),
        )

    async def survives(self, reference: str, what: str, claim: Verdict = "success") -> bool:
        """Begin or hear of a payment; return whether that was finished."""
        try:
            match what:
                case "deposit":
                    await self.payments.open_checkout(reference, is_repeated=False)
                case "payout":
                    await self.payments.send_payout(reference, is_repeated=False)
                case _:
                    await self.payments.hear(Heard(reference=reference, claim=claim))
        except Killed:
            return False
        finally:
            await self._client.close()
        return True


async def settle_down(beside: Desk, reference: str) -> None:
    """Have the worker look after a payment until it ends."""
    for _ in range(4):
        if (await beside.check(reference)).state != "PROCESSING":
            return
    raise AssertionError("It did not end.")


@pytest.mark.parametrize("fate", ["success", "failed", "reversed"])
async def test_killed_while_a_payout_begins(desk: Desk, people: People, fate: str) -> None:
    person = await people.with_wallet(1000)
    survived, steps, paid_out = False, 0, 0
    while not survived:
        reference = await desk.begin(person, "payout")
        survived = await Process(desk, steps).survives(reference, "payout")
        await desk.prove()
        if reference not in desk.provider.books.transfers:
            await desk.check(reference)
        desk.provider.end(reference, fate)
        await settle_down(desk, reference)
        paid_out += 10 if fate == "success" else 0
        assert await person.balance() == 1000 - paid_out
        steps += 1
        assert steps < STEPS_LIMIT
    assert steps > 6
    await desk.prove()


async def test_killed_while_a_deposit_begins(
    desk: Desk, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(payments_module, "START_PATIENCE", timedelta(0))
    person = await people.with_wallet(0)
    survived, steps, paid_in = False, 0, 0
    while not survived:
        reference = await desk.begin(person, "deposit")
        survived = await Process(desk, steps).survives(reference, "deposit")
        if reference in desk.provider.books.charges:
            desk.provider.pay(reference)
            paid_in += 10
        await settle_down(desk, reference)
        assert await person.balance() == paid_in
        steps += 1
        assert steps < STEPS_LIMIT
    assert steps > 3
    await desk.prove()


@pytest.mark.promise("S3-once")
@pytest.mark.parametrize(
    ("kind", "fate", "change"),
    [
        ("deposit", "success", 10),
        ("deposit", "failed", 0),
        ("payout", "success", -10),
        ("payout", "failed", 0),
    ],
)
async def test_killed_while_hearing(
    desk: Desk, people: People, kind: PaymentKind, fate: Verdict, change: int
) -> None:
    person = await people.with_wallet(1000)
    survived, steps, expected = False, 0, 1000
    while not survived:
        reference = await begun(desk, person, kind, fate)
        survived = await Process(desk, steps).survives(reference, "hear", fate)
        await desk.prove()
        # The provider was not answered, and sends it again.
        await asyncio.gather(*(desk.hear(reference, fate) for _ in range(3)))
        expected += change
        assert await person.balance() == expected
        steps += 1
        assert steps < STEPS_LIMIT
    assert steps > 3


@pytest.mark.promise("S3-payout-back")
async def test_killed_while_hearing_that_a_payout_came_back(desk: Desk, people: People) -> None:
    person = await people.with_wallet(1000)
    survived, steps = False, 0
    while not survived:
        reference = await begun(desk, person, "payout", "success")
        await desk.hear(reference, "success")
        desk.provider.end(reference, "reversed")
        survived = await Process(desk, steps).survives(reference, "hear", "reversed")
        await desk.prove()
        await desk.hear(reference, "reversed")
        assert await person.balance() == 1000
        steps += 1
        assert steps < STEPS_LIMIT
    assert steps > 3


async def begun(beside: Desk, person: Person, kind: PaymentKind, fate: str) -> str:
    """Begin a payment, and have it end at the provider."""
    if kind == "deposit":
        reference = await beside.deposit(person)
        beside.provider.pay(reference, fate)
    else:
        reference = await beside.pay_out(person)
        beside.provider.end(reference, fate)
    return reference
