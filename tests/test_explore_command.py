"""`hwsim explore` from the shell, on small networks."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from hwsim.cli import app
from hwsim.hardware import load_machine
from hwsim.networks import load_network
from hwsim.page import runs
from hwsim.simulate import simulate

SPACE = {
    "description": "a test",
    "machine": "eyeriss_v1",
    "network": "lenet_300_100_fashion",
    "bits": 16,
    "parameters": {"axes.X": [7, 14], "clock_mhz": [100, 200]},
    "compare": "axes.X",
}
SCENARIO = {
    "description": "a test",
    "network": "lenet_300_100_fashion",
    "dataset": {"name": "fashion_mnist", "limit": 200},
    "baseline": {"machine": "eyeriss_v1", "bits": 16},
    "compressed": {
        "label": "6-bit",
        "machine": "eyeriss_v1",
        "compressor": "fixed_point",
        "config": {"weight_bits": 6, "activation_bits": 6},
    },
}


def explored(folder: Path, content: dict[str, Any], *more: str) -> dict[str, Any]:
    (folder / "mine.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    out = str(folder / "out")
    arguments = ["explore", str(folder / "mine.yaml"), "--out", out, "--workers", "1", "--json"]
    found = CliRunner().invoke(app, [*arguments, *more])
    assert found.exit_code == 0, found.output
    record: dict[str, Any] = json.loads(found.stdout)
    return record


@pytest.mark.slow
def test_a_point_is_what_simulate_says(tmp_path: Path) -> None:
    found = explored(tmp_path, SPACE)
    assert found["points"] == 4
    network = load_network("lenet_300_100_fashion")
    layers = {
        layer.name: layer.at_bits(ifmap=16, weight=16, ofmap=16, psum=32) for layer in network
    }
    result = simulate(network.with_layers(layers), load_machine("eyeriss_v1"), workers=1)
    row = next(each["best_point"] for each in found["compared"] if each["value"] == 14)
    assert row["energy_pj"] == pytest.approx(result.energy_pj)
    assert row["cycles"] == result.cycles
    assert (tmp_path / "out" / "compared_values.svg").exists()
    assert explored(tmp_path, SPACE) == found
    (loaded,) = runs.load([tmp_path / "out"])
    sums = {
        side.energy_pj: [layer.name for layer in side.layers]
        for point in loaded.front
        if (side := loaded.layers_of(point))
    }
    names = [layer.name for layer in network]
    assert list(sums) == pytest.approx(sorted(row["energy_pj"] for row in found["front"]))
    assert set(map(tuple, sums.values())) == {tuple(names)}


@pytest.mark.slow
def test_plans_bring_their_accuracy(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(SCENARIO), encoding="utf-8")
    content = {key: SPACE[key] for key in ("description", "machine")} | {
        "scenarios": ["small.yaml"],
        "objectives": ["energy_pj", "accuracy"],
        "compare": "plan",
    }
    found = explored(tmp_path, content)
    sides = {each["value"]: each["best_point"] for each in found["compared"]}
    assert set(sides) == {"small: 16-bit", "small: 6-bit"}
    for side in sides.values():
        assert 0.7 < side["accuracy"] <= 1
    assert sides["small: 6-bit"]["energy_pj"] < sides["small: 16-bit"]["energy_pj"]


def test_a_grid_takes_no_number_of_points(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump(SPACE), encoding="utf-8")
    found = CliRunner().invoke(app, ["explore", str(file), "--points", "3"])
    assert found.exit_code == 2
    assert (
        found.stderr.strip()
        == f"error: {file}: strategy.kind = 'grid': takes all points, and no seed"
    )


def test_a_store_of_another_kind_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump(SPACE), encoding="utf-8")
    (tmp_path / "points.csv").write_text("energy\n" * 1000, encoding="utf-8")
    arguments = ["explore", str(file), "--store", str(tmp_path / "points.csv")]
    found = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "out")])
    assert found.exit_code == 2
    assert "is damaged or no database" in found.stderr
    assert len(found.stderr.splitlines()) == 1
