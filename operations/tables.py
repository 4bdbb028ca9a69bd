"""Tables for operators, whose cells can be pasted into the next command."""

from typing import Final

from rich.console import Console
from rich.table import Table

# A table is made narrower by cutting what its cells say. A terminal that is narrower than this
# breaks the lines instead, and a file does neither.
COLUMNS_AT_LEAST: Final = 160


def print_table(table: Table) -> None:
    """Print a table without cutting a reference, an address or a reason."""
    Console(width=max(Console().width, COLUMNS_AT_LEAST)).print(table)
