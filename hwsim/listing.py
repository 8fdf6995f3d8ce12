"""Tables for the terminal of which nothing is cut, however narrow it is: long lines wrap there."""

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.measure import Measurement

from hwsim.ruled import ruled

UNBOUNDED = 10_000


def print_rows(
    heads: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: frozenset[str]
) -> None:
    """Prints a row each; columns whose heads are `numbers` are set to the right."""
    table = ruled(gap=2)
    for head in heads:
        table.add_column(head, justify="right" if head in numbers else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    console = Console()
    unbounded = console.options.update(width=UNBOUNDED)
    Console(width=Measurement.get(console, unbounded, table).maximum).print(table)
