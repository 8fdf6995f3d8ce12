"""Shows on stderr how far a run is: a bar on a terminal, else one line for each stage."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bars

BETWEEN_LINES_S = 20.0


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
    time = TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn()
    columns = SpinnerColumn(), text, BarColumn(), MofNCompleteColumn(), *time
    with Bars(*columns, console=console, transient=True) as bars:
        yield _bar(bars)


def _lines(console: Console) -> Progress:
    """A line for each stage and, of one that takes long, another now and then."""
    last, begun, said, before = "", 0.0, 0.0, 0

    def show(stage: str, done: int = 0, total: int = 0) -> None:
        nonlocal last, begun, said, before
        now = monotonic()
        if stage != last:
            console.print(stage, markup=False, highlight=False, soft_wrap=True)
            last, begun, said, before = stage, now, now, done
        elif total and now - said > BETWEEN_LINES_S and done > before:
            left_s = (now - begun) * (total - done) / (done - before)
            text = f"{stage}: {done:,} of {total:,}, {left_s / 60:.1f} min left"
            console.print(text, markup=False, highlight=False, soft_wrap=True)
            said = now

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
