"""Fixtures of the tests of payments."""

from collections.abc import AsyncIterator

import pytest

from core.payments import Payments
from core.poster import Poster, PosterLimits
from db.session import Database
from devtools.paystack.app import LocalPaystack
from integrations.paystack import Paystack
from tests.payment_desk import Desk
from tests.paystack import SECRET, Trouble


@pytest.fixture
async def desk(
    database: Database, provider: LocalPaystack, trouble: Trouble
) -> AsyncIterator[Desk]:
    """Payments with the module's Paystack, and nothing wrong there."""
    poster = Poster(database, PosterLimits())
    client = Paystack(secret_key=SECRET, base_url=provider.base_url)
    yield Desk(database, poster, Payments(database, poster, client), provider, trouble)
    await poster.stop()
    await client.close()
