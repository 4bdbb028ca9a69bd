"""Writing many rows at once: all tables of a batch in one statement where the engine can.

PostgreSQL takes each column as one array and all tables as parts of one statement: one round trip
and one plan, whatever the size of the batch. SQLite runs one statement a table over its rows.
The statements come from the tables of `db.models`; values are always parameters.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain
from typing import Any, Final

from sqlalchemy import String, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeEngine

from db.arrays import array_text
from db.lean import LeanConnection

Row = tuple[Any, ...]

# SQLite takes some 32,000 values at a time, and no row of ours has more than a dozen.
SQLITE_ROWS_LIMIT: Final = 1024

_POSTGRESQL: Final[Dialect] = postgresql.dialect()  # type: ignore[no-untyped-call]  # its own
_SQLITE: Final[Dialect] = sqlite.dialect()


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Rows into one table or, with `keys`, changes to the rows that these columns name.

    A row gives the values of `keys`, `columns` and `added`, in this order; `added` is what to add
    to the present value. The columns of `shared` have one value for the whole batch.
    """

    table: Table
    keys: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()

    @property
    def varying(self) -> tuple[str, ...]:
        """The columns that each row has a value of its own for."""
        return self.keys + self.columns + self.added


@dataclass(frozen=True, slots=True)
class Work:
    """A step, its rows, and the values of its shared columns."""

    step: Step
    rows: Sequence[Row]
    shared: Row = ()


async def write(connection: LeanConnection, works: Sequence[Work]) -> None:
    """Do all that has rows. Raises what the database raises.

    PostgreSQL does not define the order among `works`: no two may touch the same rows.
    """
    works = [work for work in works if work.rows]
    if not works:
        return
    if connection.dialect_name == "sqlite":
        for work in works:
            await _write_to_sqlite(connection, work)
        return
    parameters: list[Any] = []
    for work in works:
        columns = zip(*work.rows, strict=True)
        for item_type, values in zip(_types(work.step), columns, strict=True):
            parameters.append(array_text(item_type, list(values)))
        parameters += work.shared
    statement = _array_statement(tuple(work.step for work in works))
    await connection.execute(statement, parameters)


@cache
def _array_statement(steps: tuple[Step, ...]) -> str:
    """Return one statement in which each step takes its columns as arrays."""
    parts = []
    count = 0
    for step in steps:
        types = _postgresql_types(step)
        arrays = []
        values = {}
        for name in step.varying:
            count += 1
            arrays.append(f"unnest(${count}::text::{types[name]}[]) AS {name}")
            values[name] = f"given.{name}"
        for name in step.shared:
            count += 1
            values[name] = f"${count}::{types[name]}"
        # Not as `FROM unnest(…)`: PostgreSQL would write down all rows first and read them again.
        given = f"FROM (SELECT {', '.join(arrays)}) AS given"
        parts.append(_sql(step, values, given=given))
    named = ", ".join(f"part_{number} AS ({part})" for number, part in enumerate(parts, 1))
    return f"WITH {named} SELECT 1"


@cache
def _types(step: Step) -> tuple[TypeEngine[Any], ...]:
    """Return the type of each column that rows have a value of their own for."""
    columns = (step.table.c[name] for name in step.varying)
    return tuple(column.type.dialect_impl(_POSTGRESQL) for column in columns)


async def _write_to_sqlite(connection: LeanConnection, work: Work) -> None:
    rows, shared = _sqlite_rows(work)
    for first in range(0, len(rows), SQLITE_ROWS_LIMIT):
        part = rows[first : first + SQLITE_ROWS_LIMIT]
        places = 1 << (len(part) - 1).bit_length()
        nothing = (None,) * len(work.step.varying) * (places - len(part))
        values = (*shared, *chain.from_iterable(part), *nothing, len(part))
        await connection.execute(_places_statement(work.step, places), values)


@cache
def _places_statement(step: Step, places: int) -> str:
    """Return one statement for up to so many rows: the shared values, all rows, and how many."""
    values = {name: f"given.column{number}" for number, name in enumerate(step.varying, 1)}
    values |= dict.fromkeys(step.shared, "?")
    row = f"({', '.join('?' * len(step.varying))})"
    given = f"(VALUES {', '.join([row] * places)})"
    return _sql(step, values, given=f"FROM (SELECT * FROM {given} LIMIT ?) AS given")  # noqa: S608 - see `_sql`


def _sql(step: Step, values: dict[str, str], *, given: str) -> str:
    """Word a step; `values` are expressions, and `given` is where they come from.

    No part of it is input: names are those of our tables and columns.
    """
    table = step.table.name
    if not step.keys:
        expressions = ", ".join(values.values())
        return f"INSERT INTO {table} ({', '.join(values)}) SELECT {expressions} {given}"
    changes = [f"{name} = {values[name]}" for name in step.columns + step.shared]
    changes += [f"{name} = {table}.{name} + {values[name]}" for name in step.added]
    condition = " AND ".join(f"{table}.{name} = {values[name]}" for name in step.keys)
    return f"UPDATE {table} SET {', '.join(changes)} {given} WHERE {condition}"  # noqa: S608 - see above


def _postgresql_types(step: Step) -> dict[str, str]:
    columns = step.table.c
    types = {name: columns[name].type for name in step.varying + step.shared}
    # Texts without their length: a cast would cut what is too long, and the column refuses it.
    return {
        name: "TEXT" if isinstance(kind, String) else kind.compile(dialect=_POSTGRESQL)
        for name, kind in types.items()
    }


def _sqlite_rows(work: Work) -> tuple[Sequence[Row], Row]:
    """Return the rows and what they share, each value as SQLite stores it."""
    shared = _converted(work.shared, _converters(work.step.table, work.step.shared))
    converters = _converters(work.step.table, work.step.varying)
    if not any(converters):
        return work.rows, shared
    return [_converted(row, converters) for row in work.rows], shared


def _converted(row: Row, converters: Sequence[Callable[[Any], Any] | None]) -> Row:
    return tuple(
        convert(value) if convert else value for convert, value in zip(converters, row, strict=True)
    )


@cache
def _converters(table: Table, names: tuple[str, ...]) -> tuple[Callable[[Any], Any] | None, ...]:
    """Return what turns each column's Python values into the driver's; None leaves them."""
    types = (table.c[name].type.dialect_impl(_SQLITE) for name in names)
    return tuple(kind.bind_processor(_SQLITE) for kind in types)
