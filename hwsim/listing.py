"""Tables for the terminal of which nothing is cut, however narrow it is: long lines wrap there."""

from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

UNBOUNDED = 10_000


def print_rows(
    heads: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: frozenset[str]
) -> None:
    """Prints a row each; columns whose heads are `numbers` are set to the right."""
    table = Table(box=box.HORIZONTALS, padding=(0, 2, 0, 0), pad_edge=False, show_edge=False)
    for head in heads:
        table.add_column(head, justify="right" if head in numbers else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    console = Console()
    unbounded = console.options.update(width=UNBOUNDED)
    Console(width=Measurement.get(console, unbounded, table).maximum).print(table)
