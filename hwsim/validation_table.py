"""The validation table for the terminal: every row, then the means and what was to be reached."""

from collections.abc import Iterable

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from hwsim.ruled import ruled
from hwsim.validate import Subject, grouped
from hwsim.validation_page import (
    FITTED_HEADS,
    ROW_HEADS,
    SUMMARY_HEADS,
    TARGET_HEADS,
    fitted_cells,
    row_cells,
    summary_cells,
    target_cells,
)

UNBOUNDED = 10_000
# A narrow terminal folds the cells of these columns; it never cuts a number.
FOLDED = {
    "layer",
    "network",
    "worst at",
    "target",
    "found",
    "constant",
    "value",
    "fitted on",
    "checked on",
}
WORDS = FOLDED | {"machine", "quantity", "source"}


def show(subjects: Iterable[Subject], console: Console) -> None:
    """Prints a table for each machine and network, then the means, then the targets."""
    found = tuple(subjects)
    rows = [row for subject in found for row in subject.rows]
    for (machine, network), chosen in grouped(rows, lambda r: (r.machine, r.network)).items():
        sources = list(dict.fromkeys(row.source for row in chosen))
        lines = [row_cells(row, sources)[2:] for row in chosen]  # the title has machine, network
        _print(_table(f"{machine}, {network}", ROW_HEADS[2:], lines), console)
        for number, source in enumerate(sources, 1):
            console.print(Text(f"[{number}] {' '.join(source.split())}", style="dim"))
        console.print()
    lines = [summary_cells(summary) for subject in found for summary in subject.summaries]
    _print(_table("errors", SUMMARY_HEADS, lines), console)
    targets = [target_cells(target, x) for x in found for target in x.targets]
    constants = [fitted_cells(constant, x) for x in found for constant in x.fitted]
    for title, heads, lines in (
        ("targets", TARGET_HEADS, targets),
        ("fitted constants", FITTED_HEADS, constants),
    ):
        if lines:
            console.print()
            _print(_table(title, heads, lines), console)


def _table(title: str, heads: list[str], lines: list[list[str]]) -> Table:
    found = ruled(title)
    for head, *cells in zip(heads, *lines, strict=True):
        folded = head in FOLDED
        found.add_column(
            head if head in WORDS else head.replace(" ", "\n"),
            overflow="fold",
            no_wrap=not folded,
            min_width=None if folded else max(map(len, [*head.split(), *cells])),
            justify="left" if head in WORDS else "right",
        )
    for line in lines:
        found.add_row(*map(Text, line), style="dim" if "unverified" in line else None)
    return found


def _print(table: Table, console: Console) -> None:
    """Wider than the console where what cannot be folded needs it."""
    unbounded = console.options.update(width=UNBOUNDED)
    least = Measurement.get(console, unbounded, table).minimum
    table.width = least if least > console.width else None
    console.print(table, crop=False)
