"""`hwsim` as a user types it, see the fixture `invoke`, and what a complaint must look like."""

from collections.abc import Callable
from pathlib import Path

from typer.testing import Result

Invoke = Callable[..., Result]


def assert_one_line(result: Result, *parts: str) -> None:
    """Exit status 2, one line on stderr that holds every part, nothing on stdout or on the disk."""
    assert result.exit_code == 2
    assert result.stdout == ""
    complaints = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert result.stderr.splitlines()[-1:] == complaints
    for part in parts:
        assert part in complaints[0]
    assert not list(Path().rglob("*.json"))
    assert not Path("results").exists()
