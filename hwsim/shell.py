"""What all verbs of the command line share: complaints and exit statuses.

Status 0 is success, 2 something that the user can mend (one line on stderr), 130 Ctrl-C. Results
go to stdout, progress to stderr. Whatever else goes wrong is a defect and keeps its traceback.
"""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import current_thread, main_thread
from types import FrameType

import typer

from hwsim.errors import InputError

RESULTS = Path("results")
BAD_INPUT, INTERRUPTED = 2, 130


def plain_app() -> typer.Typer:
    """A command line without verbs yet, whose complaints are single lines."""
    return typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)


@contextmanager
def complaints() -> Iterator[None]:
    """Turns what the user can mend, and Ctrl-C, into a line on stderr and an exit status."""
    try:
        with _all_of_ctrl_c():
            yield
        sys.stdout.flush()  # a pipe closed at the other end is noticed here, where typer hushes it
    except InputError as error:
        for line in str(error).splitlines():  # a user's mapping may have several faults
            typer.echo(f"error: {line}", err=True)
        raise typer.Exit(BAD_INPUT) from error
    except KeyboardInterrupt as interrupt:
        typer.echo("interrupted", err=True)
        raise typer.Exit(INTERRUPTED) from interrupt


@contextmanager
def _all_of_ctrl_c() -> Iterator[None]:
    """Errors after Ctrl-C are Ctrl-C too: numba, called back by LLVM, drops it and then fails."""
    heard: list[int] = []

    def hear(number: int, frame: FrameType | None) -> None:
        heard.append(number)
        signal.default_int_handler(number, frame)

    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler or current_thread() is not main_thread():
        yield
        return
    signal.signal(signal.SIGINT, hear)
    try:
        yield
    except Exception as error:
        if heard:
            raise KeyboardInterrupt from error
        raise
    finally:
        signal.signal(signal.SIGINT, before)
