"""Statements about many rows whose text does not depend on how many.

A list of ids in an expanding `IN` makes a new statement text, and so a new prepared statement, for
every length. These take the list as one parameter: an array on PostgreSQL, JSON on SQLite.

Arrays are sent as PostgreSQL writes them, `{1,2,NULL}`, and read there: the driver would look at
each element in Python, which took longer than deciding on the postings.
"""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Dialect,
    String,
    TableValuedAlias,
    Text,
    TypeDecorator,
    any_,
    bindparam,
    cast,
    column,
    func,
    literal_column,
    select,
    tuple_,
)
from sqlalchemy.types import TypeEngine


def array_text(item_type: TypeEngine[Any], values: Sequence[Any]) -> str:
    """Return the text of a PostgreSQL array of values that a column of `item_type` takes.

    The rules are those of PostgreSQL's manual, section 8.15.6. Raises TypeError for a type that no
    list of ours holds.
    """
    kind = item_type.python_type
    if kind is int:
        # The list's own text, in one go: nothing is quicker.
        return "{" + repr(values)[1:-1].replace("None", "NULL") + "}"
    if kind is str:
        items = _texts(values)
    elif kind is bytes:
        items = _joined(rf'"\\x{value.hex()}"' if value is not None else None for value in values)
    elif kind is bool:
        items = _joined(None if value is None else "t" if value else "f" for value in values)
    elif kind is datetime:
        items = _joined(value.isoformat() if value is not None else None for value in values)
    else:
        raise TypeError(f"No list of ours holds {item_type!r}.")
    return "{" + items + "}"


def _joined(items: Iterable[str | None]) -> str:
    return ",".join("NULL" if item is None else item for item in items)


def _texts(values: Sequence[str | None]) -> str:
    """Return the items of an array of texts; at once where none of them needs a backslash."""
    texts = [value for value in values if value is not None]
    if texts and len(texts) == len(values):
        joined = '","'.join(texts)
        if "\\" not in joined and joined.count('"') == 2 * (len(texts) - 1):
            return f'"{joined}"'
    return _joined(_quoted(value) if value is not None else None for value in values)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


class _List(TypeDecorator[Sequence[Any]]):
    """A list parameter, as text: a PostgreSQL array, or JSON."""

    impl = Text
    cache_ok = True

    def __init__(self, item_type: type[BigInteger] | type[String]):
        super().__init__()
        self.item_type = item_type()

    def process_bind_param(self, value: Sequence[Any] | None, dialect: Dialect) -> str | None:
        if value is None:
            return None
        if dialect.name == "postgresql":
            return array_text(self.item_type, value)
        return json.dumps(value)


def _list(dialect_name: str, parameter: str, item_type: type[BigInteger] | type[String]) -> Any:
    """Return the list bound to `parameter`, as an array where there are arrays."""
    given = bindparam(parameter, type_=_List(item_type))
    return cast(given, ARRAY(item_type)) if dialect_name == "postgresql" else given


def id_among(dialect_name: str, id_column: Any, parameter: str) -> ColumnElement[bool]:
    """`id_column` is one of the ids bound as the list `parameter`."""
    return _among(dialect_name, id_column, _list(dialect_name, parameter, BigInteger))


def text_among(dialect_name: str, text_column: Any, parameter: str) -> ColumnElement[bool]:
    """`text_column` is one of the texts bound as the list `parameter`."""
    return _among(dialect_name, text_column, _list(dialect_name, parameter, String))


def ids_from(dialect_name: str, parameter: str) -> TableValuedAlias:
    """The list `parameter` as rows with one column, `value`."""
    ids = _list(dialect_name, parameter, BigInteger)
    value = column("value", BigInteger)
    if dialect_name == "postgresql":
        return func.unnest(ids).table_valued(value).render_derived()
    return func.json_each(ids).table_valued(value)


def _among(dialect_name: str, compared: Any, items: Any) -> ColumnElement[bool]:
    among: ColumnElement[bool] = (
        compared == any_(items)
        if dialect_name == "postgresql"
        else compared.in_(select(func.json_each(items).table_valued("value").c.value))
    )
    return among


def pair_among(
    dialect_name: str, columns: tuple[Any, Any], parameters: tuple[str, str]
) -> ColumnElement[bool]:
    """The pair of an id and a text column is one of those bound as two lists of equal length."""
    ids = _list(dialect_name, parameters[0], BigInteger)
    texts = _list(dialect_name, parameters[1], String)
    if dialect_name == "postgresql":
        names = (column("id", BigInteger), column("text", String))
        rows = func.unnest(ids, texts).table_valued(*names).render_derived()
        return tuple_(*columns).in_(select(rows.c.id, rows.c.text))
    ids_table = func.json_each(ids).table_valued("key", "value", name="ids")
    texts_table = func.json_each(texts).table_valued("key", "value", name="texts")
    pairs: Any = select(literal_column("ids.value"), literal_column("texts.value")).join_from(
        ids_table, texts_table, ids_table.c.key == texts_table.c.key
    )
    return tuple_(*columns).in_(pairs)
