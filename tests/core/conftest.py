"""What tests of the core start with: payments, and a database of their own."""

from collections.abc import AsyncIterator

import pytest

from core.payments import Payments
from core.poster import Poster, PosterLimits
from db.session import Database, DatabaseOptions
from devtools.paystack.app import LocalPaystack
from integrations.paystack import Paystack
from tests.conftest import create_postgres_database, migrate, settings_for, sqlite_url
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


@pytest.fixture
async def fresh(
    engine_name: str, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> AsyncIterator[tuple[Database, str]]:
    """A database of this test's own, and its URL."""
    if engine_name == "sqlite":
        url = sqlite_url(tmp_path_factory.mktemp("fresh"))
    else:
        url = await create_postgres_database(request.getfixturevalue("postgres_url"))
    await migrate(url)
    opened = Database(DatabaseOptions(url=settings_for(url).database_url))
    yield opened, url
    await opened.close()
