"""What tests of the database alone need."""

import pytest

from tests.conftest import create_postgres_database, sqlite_url


@pytest.fixture
async def empty_url(
    engine_name: str, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> str:
    """The URL of a database of this test alone, with nothing in it."""
    if engine_name == "sqlite":
        return sqlite_url(tmp_path_factory.mktemp("empty"))
    return await create_postgres_database(request.getfixturevalue("postgres_url"))
