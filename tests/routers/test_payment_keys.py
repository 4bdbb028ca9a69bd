"""Keys of payments over HTTP: those of the house's, and repeated requests."""

import httpx
import pytest

from core.payment_ends import key_of
from core.verification import verify_rules
from db.session import Database
from devtools.paystack.app import LocalPaystack
from tests.api_keys import made_key
from tests.paystack import deliver
from tests.people import People
from tests.routers.test_payments import begin, charge, people, status_of, trouble
from tests.services import Service, somebody

__all__ = ("people", "trouble")


@pytest.mark.promise("S3-once")
async def test_a_service_cannot_take_the_key_that_ends_a_payment(
    people: People, shop: httpx.AsyncClient, database: Database, provider: LocalPaystack
) -> None:
    person = await people.with_wallet(0)
    reference = await begin(person)
    service = Service(shop, (await made_key(database)).text)
    for what in ("end", "reverse", "credit"):
        key = key_of(reference, what)
        taken = [
            await service.move("top-up", somebody(), 1, header_key=key),
            await service.move("top-up", somebody(), 1, key=key),
        ]
        assert [answer.status_code for answer in taken] == [400, 422]

    provider.pay(reference)
    assert (await deliver(shop, charge(provider, reference))).status_code == 200

    assert (await status_of(person, reference))["state"] == "SUCCESS"
    assert await person.balance() == 700
    assert [item.rule.name async for item in verify_rules(database) if not item.holds] == []
