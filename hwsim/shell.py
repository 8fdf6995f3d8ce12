"""What all verbs of the command line share: complaints and exit statuses.

Status 0 is success, 2 something that the user can mend (one line on stderr), 130 Ctrl-C. Results
go to stdout, progress to stderr. Whatever else goes wrong is a defect and keeps its traceback.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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
        yield
        sys.stdout.flush()  # a pipe closed at the other end is noticed here, where typer hushes it
    except InputError as error:
        for line in str(error).splitlines():  # a user's mapping may have several faults
            typer.echo(f"error: {line}", err=True)
        raise typer.Exit(BAD_INPUT) from error
    except KeyboardInterrupt as interrupt:
        typer.echo("interrupted", err=True)
        raise typer.Exit(INTERRUPTED) from interrupt
