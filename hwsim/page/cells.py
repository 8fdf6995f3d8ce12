"""What the page's tables are made of: text for people, a value to sort by, and where it leads."""

from dataclasses import dataclass, field

PJ_A_MICROJOULE = 1e6
NOTHING = "-"


@dataclass(frozen=True)
class Cell:
    """`value` sorts it, None below all others; `note` stands smaller after the text."""

    text: str
    value: float | str | None = None
    link: str = ""
    note: str = ""


@dataclass(frozen=True)
class Column:
    """A heading; `numeric` columns are set flush right and sorted by size."""

    title: str
    numeric: bool = True


@dataclass(frozen=True, kw_only=True)
class Row:
    """Cells, the first of which names the row; `marks` are what filters look at."""

    cells: tuple[Cell, ...]
    key: str = ""
    marks: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table with its caption."""

    key: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
