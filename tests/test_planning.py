"""Scenarios whose plan is searched for: what they may say, who judges, and what comes of them."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from compressors import read_plan
from data import fashion_mnist
from hwsim import registry
from hwsim.config import load
from hwsim.errors import InputError
from hwsim.experiment import run
from hwsim.page import points
from hwsim.planning import Judge, judges, split
from hwsim.report import read
from hwsim.scenario_file import Scenario, load_scenario, sought

STEP = {"method": "uniform_fixed_point", "config": {"bits": 8, "activation_bits": 8}}
PRUNE = {"method": "magnitude_pruning", "config": {"rounds": 1, "fit": {"epochs": 0}}}
SEARCH: dict[str, Any] = {
    "budget": {"accuracy_drop": 0.02},
    "candidates": {"none": [], "w8a8": [STEP], "pruned": [PRUNE]},
    "images": 80,
    "confirm": 20,
    "rounds": 2,
}


def written(folder: Path, *, search: dict[str, Any] | None = None, **compressed: Any) -> Path:
    """A scenario of LeNet-5 as a user's file."""
    side = {"label": "chosen", "machine": "eyeriss_v1", **compressed}
    content = {
        "description": "LeNet-5 on the Eyeriss chip",
        "network": "lenet5_fashion",
        "dataset": {"name": "fashion_mnist", "limit": 300},
        "baseline": {"machine": "eyeriss_v1", "bits": 16},
        "compressed": side if search is None else side | {"search": search},
        "plots": ["roofline"],
    }
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("planning")
    run(load_scenario(str(written(folder, search=SEARCH))), out=folder / "out")
    return folder / "out"


def test_what_was_chosen_is_in_the_report(results: Path) -> None:
    report = read(results / "report.json")
    assert report.search is not None
    assert report.search.met
    assert {layer.choice for layer in report.search.compressed_layers} <= {"none", "w8a8", "pruned"}
    assert report.compressed.energy_pj < report.baseline.energy_pj
    assert report.compressed.energy_pj == pytest.approx(report.search.found.energy_pj, rel=0.05)


def test_images_that_judged_report_nothing(results: Path) -> None:
    assert read(results / "report.json").images == 200


def test_the_plan_lies_beside_the_report(results: Path) -> None:
    report = read(results / "report.json")
    assert report.search is not None
    plan = read_plan(results / "plan.json")
    for layer in report.search.compressed_layers:
        assert bool(plan.layers.get(layer.name)) == (layer.choice != "none")
    assert json.loads((results / "codesign.json").read_text())["met"] is True


def test_plans_measured_are_points_of_the_page(results: Path) -> None:
    found = points.read(results / points.FILE)
    report = read(results / "report.json")
    assert report.search is not None
    assert len(found) == len(report.search.attempts)
    assert report.search.found.energy_pj in {point.energy_pj for point in found}


def test_a_budget_that_nothing_holds_says_so(tmp_path: Path) -> None:
    asked = SEARCH | {"budget": {"accuracy_drop": 0.02, "energy_share": 0.01}}
    report = run(load_scenario(str(written(tmp_path, search=asked))), out=tmp_path / "out")
    assert report.search is not None
    assert not report.search.met
    assert "energy" in report.search.text
    assert "µJ where" in report.search.text


def test_a_table_decides_in_place_of_the_simulator(tmp_path: Path) -> None:
    """It lies beside the scenario, and says that 8 bits cost more: every layer stays as it is."""
    rows = [f"{bits},{1 if bits == 16 else 2},1" for bits in (8, 16)]
    text = "\n".join(["ifmap_bits,energy_pj,latency_ms", *rows]) + "\n"
    (tmp_path / "device.csv").write_text(text)
    asked = SEARCH | {"costs": "device.csv", "candidates": {"none": [], "w8a8": [STEP]}}
    report = run(load_scenario(str(written(tmp_path, search=asked))), out=tmp_path / "out")
    assert report.search is not None
    assert report.search.machine == "device.csv"
    assert {layer.choice for layer in report.search.layers if layer.candidates} == {"none"}


def test_parts_are_disjoint_and_whole() -> None:
    found = fashion_mnist.load(limit=50)
    rest, judged = split(found, 7)
    assert len(judged.labels) == 7
    together = torch.cat([rest.images, judged.images]).flatten(1)
    assert sorted(together.sum(1).tolist()) == sorted(found.images.flatten(1).sum(1).tolist())
    assert len(together) == 50


def test_other_images_confirm() -> None:
    found = fashion_mnist.load(limit=50)
    trials, confirm = judges(found, 20)
    assert confirm is not None
    assert [len(each.found.labels) for each in (trials, confirm)] == [20, 30]
    assert judges(found, 50)[1] is None


def test_other_images_are_another_judge() -> None:
    first, second = (Judge(fashion_mnist.load(limit=count)).fingerprint for count in (3, 4))
    assert first != second


@pytest.mark.parametrize(
    ("search", "said"),
    [
        ({"budget": {"points": 1}}, "compressed.search.budget.points"),
        (
            {"budget": {"accuracy_drop": -1}},
            r"mine\.yaml: compressed\.search\.budget: accuracy_drop = -1.0: must be a number",
        ),
        ({"costs": "absent.csv"}, r"absent\.csv: cannot be read"),
        ({"candidates": "all"}, "unknown candidate set 'all'"),
        ({"candidates": {"a": [{"method": "nothing"}]}}, "nothing"),
        ({"objective": "size"}, "objective"),
    ],
)
def test_a_search_is_read_before_anything_runs(
    tmp_path: Path, search: dict[str, Any], said: str
) -> None:
    path = written(tmp_path, search=SEARCH | search)
    with pytest.raises(InputError, match=said):
        load_scenario(str(path))


def test_some_images_must_be_left(tmp_path: Path) -> None:
    asked = {"images": 100, "confirm": 200}
    scenario = load_scenario(str(written(tmp_path, search=SEARCH | asked)))
    with pytest.raises(InputError, match=r"compressed.search.confirm = 200: of 300 test images"):
        run(scenario, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("side", [{}, {"compressor": "shiftcnn", "plan": {"*": []}}])
def test_there_is_one_way_to_a_plan(tmp_path: Path, side: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="needs either a compressor, a plan or a search"):
        load_scenario(str(written(tmp_path, **side)))


def test_tuning_takes_labelled_images(tmp_path: Path) -> None:
    path = written(tmp_path, compressor="shiftcnn", tune={"epochs": 1})
    with pytest.raises(InputError, match=r"compressed\.tune needs labelled training images"):
        load_scenario(str(path))
    with pytest.raises(InputError, match=r"compressed.tune: epochs = -1"):
        load_scenario(str(written(tmp_path, compressor="shiftcnn", tune={"epochs": -1})))


@pytest.mark.parametrize("name", registry.names("scenario"))
def test_candidates_of_every_scenario_exist(name: str) -> None:
    search = load(registry.yaml_path("scenario", name), Scenario).compressed.search
    if search is not None:
        _, candidates = sought(search, file=name)
        assert candidates is None or len(candidates) > 1
