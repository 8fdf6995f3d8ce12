"""The look of every table in the terminal: rules between its parts, and no frame."""

from rich import box
from rich.table import Table


def ruled(title: str | None = None, *, gap: int = 1) -> Table:
    """An empty table, its title to the left, so many blanks between columns."""
    return Table(
        box=box.HORIZONTALS,
        title=title,
        title_justify="left",
        padding=(0, gap, 0, 0),
        pad_edge=False,
        show_edge=False,
    )
