"""Statements about many rows whose text does not depend on how many.

A list of ids in an expanding `IN` makes a new statement text, and so a new prepared statement, for
every length. These take the list as one parameter: an array on PostgreSQL, JSON on SQLite.
"""

import json
from collections.abc import Sequence
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
    column,
    func,
    literal_column,
    select,
    tuple_,
)
from sqlalchemy.types import TypeEngine


class _Array(TypeDecorator[Sequence[Any]]):
    """A list parameter: the engine's array where it has one, else JSON text."""

    impl = Text
    cache_ok = True

    def __init__(self, item_type: type[BigInteger] | type[String]):
        super().__init__()
        self.item_type = item_type

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(ARRAY(self.item_type))
        return dialect.type_descriptor(Text())

    def process_bind_param(self, value: Sequence[Any] | None, dialect: Dialect) -> Any:
        if value is None or dialect.name == "postgresql":
            return value
        return json.dumps(value)


def id_among(dialect_name: str, id_column: Any, parameter: str) -> ColumnElement[bool]:
    """`id_column` is one of the ids bound as the list `parameter`."""
    ids: Any = bindparam(parameter, type_=_Array(BigInteger))
    among: ColumnElement[bool] = (
        id_column == any_(ids)
        if dialect_name == "postgresql"
        else id_column.in_(select(func.json_each(ids).table_valued("value").c.value))
    )
    return among


def ids_from(dialect_name: str, parameter: str) -> TableValuedAlias:
    """The list `parameter` as rows with one column, `value`."""
    ids: Any = bindparam(parameter, type_=_Array(BigInteger))
    value = column("value", BigInteger)
    if dialect_name == "postgresql":
        return func.unnest(ids).table_valued(value).render_derived()
    return func.json_each(ids).table_valued(value)


def pair_among(
    dialect_name: str, columns: tuple[Any, Any], parameters: tuple[str, str]
) -> ColumnElement[bool]:
    """The pair of an id and a text column is one of those bound as two lists of equal length."""
    if dialect_name == "postgresql":
        ids = bindparam(parameters[0], type_=_Array(BigInteger))
        texts = bindparam(parameters[1], type_=_Array(String))
        names = (column("id", BigInteger), column("text", String))
        rows = func.unnest(ids, texts).table_valued(*names).render_derived()
        return tuple_(*columns).in_(select(rows.c.id, rows.c.text))
    first = func.json_each(bindparam(parameters[0], type_=_Array(BigInteger)))
    second = func.json_each(bindparam(parameters[1], type_=_Array(String)))
    ids_table = first.table_valued("key", "value", name="ids")
    texts_table = second.table_valued("key", "value", name="texts")
    pairs: Any = select(literal_column("ids.value"), literal_column("texts.value")).join_from(
        ids_table, texts_table, ids_table.c.key == texts_table.c.key
    )
    return tuple_(*columns).in_(pairs)
