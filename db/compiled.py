"""Statements written with SQLAlchemy, in a driver's own words: compiled once, and kept."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import SelectBase
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.sql.compiler import SQLCompiler

# More than there are statements that are selected this way: the look of a batch is one for each
# set of ways in which its accounts are named, and a history's one for each type and its times. Some
# fifty of either can come about.
COMPILED_LIMIT: Final = 256


class Compiled:
    """A statement in the driver's words, how to put its parameters in order, and its rows right."""

    def __init__(self, statement: SelectBase, dialect: Dialect):
        compiled: SQLCompiler = statement.compile(dialect=dialect)
        self.text = str(compiled)
        self._names = compiled.positiontup or ()
        self._fixed = compiled.params
        self._processors = {
            name: processor
            for name, parameter in compiled.binds.items()
            if (processor := parameter.type.dialect_impl(dialect).bind_processor(dialect))
        }
        # What has types in PostgreSQL is text or a number in SQLite.
        self._readers = [
            (place, reader)
            for place, column in enumerate(statement.selected_columns)
            if (reader := column.type.dialect_impl(dialect).result_processor(dialect, None))
        ]

    def values(self, parameters: Mapping[str, Any]) -> list[Any]:
        """Return the values in the statement's order."""
        return [self._value(name, parameters) for name in self._names]

    def rows(self, given: Sequence[tuple[Any, ...]]) -> Sequence[Any]:
        """Return rows as SQLite gave them with each value as its column's type has it."""
        if not self._readers:
            return given
        return [self._row(row) for row in given]

    def _value(self, name: str, parameters: Mapping[str, Any]) -> Any:
        value = parameters[name] if name in parameters else self._fixed[name]
        processor = self._processors.get(name)
        return processor(value) if processor else value

    def _row(self, given: tuple[Any, ...]) -> list[Any]:
        row = list(given)
        for place, reader in self._readers:
            row[place] = reader(row[place])
        return row


@lru_cache(maxsize=COMPILED_LIMIT)
def compiled_for(statement: SelectBase, dialect: Dialect) -> Compiled:
    """Compile a statement that is made once, the first time it is asked for."""
    return Compiled(statement, dialect)
