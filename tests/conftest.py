"""Tests search for themselves: nothing that earlier runs found is theirs to find.

What they start hears Ctrl-C, even where a script runs them in the background and so has told them
to ignore it. No example is timed: machines are shared. Tests run side by side, each on one core.
"""

import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings
from typer.testing import CliRunner, Result

from hwsim._compiled import folder
from hwsim.mapping_cache import OFF, VARIABLE
from tests.shell import Invoke

os.environ[VARIABLE] = OFF  # subprocesses too
os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported
signal.signal(signal.SIGINT, signal.default_int_handler)
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

# Tests of the search of all mappings: of those side by side one process alone compiles it, unless
# an earlier run has.
SEARCHING = (
    "map_verb/test_search.py",
    "test_docs.py",
    "test_mapper.py",
    "test_mapper_constraints.py",
    "test_mapper_dataflows.py",
    "test_mapper_skipping.py",
    "test_search_options.py",
    "test_search_sets.py",
    "test_simulate.py",
    "test_stored.py",
    "test_tradeoff.py",
)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keeps tests together that compile the same, or are of one file: they share what it makes."""
    compiles = not any(folder().glob("search_*"))
    for item in items:
        path = str(item.path)
        group = "search" if compiles and path.endswith(SEARCHING) else path
        item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture
def invoke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """Runs `hwsim` in an empty folder."""
    from hwsim.cli import app

    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> Result:
        return CliRunner().invoke(app, list(arguments), catch_exceptions=False)

    return call
