"""Shows on stderr how far a run is: a bar on a terminal, else one line for each stage."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars


class Progress(Protocol):
    """Hears of every stage of a run; `done` of `total` where a stage counts its steps."""

    def __call__(self, stage: str, done: int = 0, total: int = 0) -> None: ...


def quiet(stage: str, done: int = 0, total: int = 0) -> None:
    """Shows nothing."""


@contextmanager
def shown() -> Iterator[Progress]:
    """Progress on stderr; a bar vanishes at the end of the block."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _lines(console)
        return
    text = TextColumn("{task.description}", markup=False)
    columns = SpinnerColumn(), text, BarColumn(), TimeElapsedColumn()
    with Bars(*columns, console=console, transient=True) as bars:
        yield _bar(bars)


def _lines(console: Console) -> Progress:
    last = ""

    def show(stage: str, done: int = 0, total: int = 0) -> None:
        nonlocal last
        if stage != last:
            console.print(stage, markup=False, highlight=False, soft_wrap=True)
            last = stage

    return show


def _bar(bars: Bars) -> Progress:
    shown, last = bars.add_task("", visible=False), ""

    def show(stage: str, done: int = 0, total: int = 0) -> None:
        nonlocal shown, last
        if stage != last:  # a new task, as the old one's total could not be taken back
            bars.remove_task(shown)
            shown, last = bars.add_task(stage, total=total or None), stage
        bars.update(shown, completed=done)

    return show
