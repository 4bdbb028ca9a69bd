"""Whatever a column takes arrives in PostgreSQL as it was, and lists mean the same on both."""

from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import BigInteger, Boolean, LargeBinary, Numeric, String, Table, select
from sqlalchemy.types import TypeEngine

from db.arrays import array_text, id_among, ids_from, pair_among
from db.bulk import Step, Work, write
from db.columns import UtcDateTime
from db.models import Installation, Tables, table
from db.session import Database

ROUNDS = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
# What can be stored as text: no half characters, no NUL.
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
COLUMNS: dict[str, tuple[TypeEngine[Any], str, st.SearchStrategy[Any]]] = {
    "ids": (BigInteger(), "bigint", st.integers(-(2**63), 2**63 - 1)),
    "texts": (
        String(),
        "text",
        TEXTS | st.sampled_from(['"', "\\", "NULL", "{}", ",", "", " ", "\n"]),
    ),
    "bytes": (LargeBinary(), "bytea", st.binary(max_size=40)),
    "flags": (Boolean(), "boolean", st.booleans()),
    "times": (UtcDateTime(), "timestamptz", st.datetimes(timezones=st.just(UTC))),
}


@pytest.mark.parametrize("name", COLUMNS)
@ROUNDS
@given(data=st.data())
async def test_an_array_arrives_as_it_was(
    name: str, data: st.DataObject, postgres_url: str
) -> None:
    item_type, sql_type, items = COLUMNS[name]
    values = data.draw(st.lists(st.none() | items, max_size=8))
    connection = await asyncpg.connect(postgres_url)
    try:
        found = await connection.fetchval(
            f"SELECT $1::text::{sql_type}[]", array_text(item_type, values)
        )
    finally:
        await connection.close()
    assert found == values


def test_a_type_that_no_list_holds_is_refused() -> None:
    with pytest.raises(TypeError, match="No list of ours"):
        array_text(Numeric(), [1])


async def test_lists_mean_the_same_on_both_engines(database: Database) -> None:
    keys: Table = Tables.idempotency_keys
    name = database.dialect_name
    known = id_among(name, Tables.users.c.id, "ids")
    pairs = pair_among(name, (keys.c.principal_id, keys.c.key), ("ids", "texts"))
    odd = ['a"b', "c\\d", "{e,f}", "NULL", "ü"]
    async with database.reading() as session:
        connection = await session.connection()
        given_ids = {"ids": [-1, -2, -3, -4, -5]}
        listed = await connection.execute(select(ids_from(name, "ids").c.value), given_ids)
        assert [row[0] for row in listed] == [-1, -2, -3, -4, -5]
        assert (await connection.execute(select(Tables.users).where(known), given_ids)).all() == []
        statement = select(keys).where(pairs)
        assert (await connection.execute(statement, given_ids | {"texts": odd})).all() == []


async def test_what_is_too_long_is_refused_and_not_cut(database: Database) -> None:
    step = Step(table=table(Installation), columns=("id",))
    if database.dialect_name == "sqlite":
        pytest.skip("SQLite does not know lengths")
    with pytest.raises(asyncpg.StringDataRightTruncationError, match="too long"):
        async with database.lean_transaction() as connection:
            await write(connection, [Work(step, [("x" * 33,)])])


def test_a_time_is_written_with_its_zone() -> None:
    moment = datetime(2026, 1, 31, 12, tzinfo=UTC)
    assert array_text(UtcDateTime(), [moment, None]) == "{2026-01-31T12:00:00+00:00,NULL}"
