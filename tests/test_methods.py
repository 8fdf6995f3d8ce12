"""The catalogue of methods, as `hwsim methods` lists it."""

import json
from pathlib import Path

from typer.testing import CliRunner

from hwsim import registry
from hwsim.cli import app
from hwsim.methods import MECHANISMS, methods

ROOT = Path(__file__).parents[1]
# How many the literature has, by mechanism.
COUNTS = {"P": 28, "R": 9, "Q": 31, "F": 20, "S": 6, "T": 24, "G": 4, "K": 6, "C": 2, "H": 8}


def test_the_catalogue_is_whole() -> None:
    found = methods()
    names = [one.id for one in found]
    assert len(names) == len(set(names)) == 149
    assert {one.mechanism for one in found} == MECHANISMS.keys()
    for mechanism, count in COUNTS.items():
        assert sum(one.mechanism == mechanism for one in found) == count


def test_every_file_named_is_there() -> None:
    for one in methods():
        assert one.file is None or (ROOT / one.file).is_file(), one


def test_every_compressor_is_in_the_catalogue() -> None:
    """But for the integer form, which several methods of the catalogue share."""
    listed = {one.id for one in methods()}
    assert set(registry.names("compressor")) - listed <= {"fixed_point"}


def test_as_json_and_as_a_table() -> None:
    runner = CliRunner()
    found = json.loads(runner.invoke(app, ["methods", "--json"]).stdout)
    entry = next(one for one in found if one["id"] == "shiftcnn")
    assert entry["callable"] is True
    assert entry["file"] == "compressors/shiftcnn.py"
    assert {"id", "mechanism", "file", "callable", "result"} <= entry.keys()
    shown = runner.invoke(app, ["methods"])
    assert shown.exit_code == 0
    assert "ShiftCNN" in shown.stdout
