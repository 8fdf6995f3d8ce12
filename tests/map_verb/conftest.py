"""`hwsim map` in an empty folder, with a stand-in for the mapper and without."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from hwsim import mapped
from hwsim.cli import app
from tests.map_verb.asking import Invoke, StandIn


@pytest.fixture
def mapper(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """In the mapper's place."""
    found = StandIn()
    monkeypatch.setattr(mapped, "ask", found.search)
    monkeypatch.setattr(mapped, "front", found.front)
    return found


@pytest.fixture
def invoke(plainly: Invoke, mapper: StandIn) -> Invoke:
    """Runs `hwsim map` in an empty folder, with the stand-in."""
    return plainly


@pytest.fixture
def plainly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """Runs `hwsim map` in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> Result:
        return CliRunner().invoke(app, ["map", *arguments], catch_exceptions=False)

    return call
