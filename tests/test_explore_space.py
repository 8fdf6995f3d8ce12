"""What a space may say, what it is refused for, and what it then asks for."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from hwsim.config import parse
from hwsim.explore.evaluate import Row, Task, evaluate
from hwsim.explore.fields import machine_with
from hwsim.explore.points import family, ordered
from hwsim.explore.search import Rounds, objectives
from hwsim.explore.space import Range, Search, Space, load_space, machine_contents, network_names
from hwsim.hardware import Accelerator, load_machine
from hwsim.registry import names
from tests.cheap_points import task
from tests.complaints import refused

SAID = {"description": "a test", "machine": "eyeriss_v1", "network": "alexnet"}
CONTENT = machine_contents(Space.model_validate(SAID))["eyeriss_v1"]


def written(folder: Path, **content: Any) -> Path:
    file = folder / "mine.yaml"
    file.write_text(yaml.safe_dump(SAID | content), encoding="utf-8")
    return file


@pytest.mark.parametrize("name", names("space"))
def test_shipped_spaces_load(name: str) -> None:
    space, _ = load_space(name)
    assert space.name == name
    assert space.size > 1
    assert network_names(space)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ({"parameters": {"axes.Z": [1]}}, "parameters.axes.Z = 1: unknown axis 'Z'"),
        ({"parameters": {"GLBB.capacity_bits": [1]}}, "parameters.GLBB.capacity_bits = 1: unknown"),
        ({"parameters": {"GLB.capacity_bits": [1]}}, "parameters.GLB.capacity_bits = 1: GLB.cap"),
        ({"parameters": {"mac": [1]}}, "parameters.mac = 1: mac is a section"),
        ({"parameters": {"axes.X": [0]}}, "parameters.axes.X = 0: machine: hierarchy.2.axes.X"),
        ({"parameters": {"axes.X": [4, 4]}}, "parameters.axes.X = [4, 4]: values must"),
        ({"parameters": {"axes.X": []}}, "parameters.axes.X = []: must hold at least 1"),
        ({"parameters": {"axes.X": 7}}, "parameters.axes.X = 7: must be a list"),
        ({"parameters": [7]}, "parameters = [7]: must hold keys and values"),
        ({"objectives": []}, "objectives = []: must hold at least 1"),
        ({"parameters": {"axes.X": {"from": 1, "to": 9}}}, "parameters.axes.X"),
        ({"parameters": {"mac.bits": [8]}}, "parameters.mac.bits = 8: machine: mac.bits"),
        ({"parameters": {"process_nm": [28]}}, "parameters.process_nm = 28: process_nm = 28: must"),
        ({"parameters": {"dataflow": ["rows"]}}, "parameters.dataflow = 'rows': machine: dataflow"),
        ({"network": "alexnett"}, "network = 'alexnett': unknown network"),
        ({"machine": "eyeris_v1"}, "machine = 'eyeris_v1': unknown machine"),
        ({"network": None}, "(whole file)"),
        ({"compare": "dataflow"}, "compare = 'dataflow': unknown parameter"),
        ({"objectives": ["accuracy"]}, "objectives = 'accuracy': only scenarios"),
        ({"objectives": ["power"]}, "objectives.0 = 'power'"),
        ({"constraints": {"volume": {"most": 1}}}, "constraints.volume"),
        (
            {"constraints": {"area_mm2": {"least": 9, "most": 3}}},
            "constraints.area_mm2.least = 9.0: exceeds most = 3",
        ),
        ({"strategy": {"kind": "annealing"}}, "strategy"),
        ({"fill": {"field": "GLB", "area_mm2": 3}}, "fill.field = 'GLB'"),
        ({"parametres": {}}, "parametres = {}: unknown key; did you mean 'parameters'?"),
    ],
)
def test_complaints_name_file_key_and_value(
    tmp_path: Path, content: dict[str, Any], complaint: str
) -> None:
    file = written(tmp_path, **content)
    refused(partial(load_space, str(file)), f"{file}: {complaint}")


def test_ranges() -> None:
    def values(**said: float) -> tuple[object, ...]:
        return parse(said, Range, file="range").values

    assert values(**{"from": 4, "to": 9, "step": 2}) == (4, 6, 8)
    assert values(**{"from": 16, "to": 128, "times": 2}) == (16, 32, 64, 128)
    assert values(**{"from": 0.5, "to": 0.7, "step": 0.1}) == pytest.approx((0.5, 0.6, 0.7))


def field(machine: Accelerator, level: str, tensor: str, key: str) -> object:
    return getattr(machine.level(level).memory(tensor), key)


def test_paths_reach_every_kind_of_field() -> None:
    settings = {
        "clock_mhz": 250,
        "mac.weight_bits": 8,
        "technology.dram": "HBM2",
        "control.leakage_mw": 3,
        "GLB.weight.capacity_bits": 4096,
        "DRAM.read_bits_per_cycle": 64,
        "axes.X": 5,
        "array.skewed": True,
        "spad.ifmap.tensors": ("ifmap",),
    }
    found = machine_with(CONTENT, settings, file="test")  # type: ignore[arg-type]
    assert (found.clock_mhz, found.mac.weight_bits, found.technology.dram) == (250, 8, "HBM2")
    assert found.control.leakage_mw == 3
    assert field(found, "GLB", "weight", "capacity_bits") == 4096
    assert field(found, "GLB", "ifmap", "capacity_bits") == 819200
    assert field(found, "DRAM", "ofmap", "read_bits_per_cycle") == 64
    assert (found.pes, found.arrays[0].skewed) == (5 * 12, True)
    assert machine_with(CONTENT, {}, file="test") == load_machine("eyeriss_v1")


def test_what_leaves_the_shape_changes_fastest() -> None:
    parameters = {
        "clock_mhz": (100, 200),
        "axes.X": (7, 14),
        "network": ("alexnet", "vgg16"),
        "DRAM.read_bits_per_cycle": (8, 16, 32),
    }
    axes, light = ordered(task(parameters=parameters, network=None))
    assert list(axes) == ["axes.X", "network", "clock_mhz", "DRAM.read_bits_per_cycle"]
    assert light == 6


def test_choices_set_several_fields() -> None:
    pes = {"small": {"axes.X": 2, "axes.Y": 3}, "large": {"axes.X": 14, "axes.Y": 12}}
    space = task(parameters={"PEs": pes, "clock_mhz": (100,)}).space
    assert space.axes == {"PEs": ("small", "large"), "clock_mhz": (100,)}
    assert space.settings({"PEs": "small", "clock_mhz": 100}) == {
        "axes.X": 2,
        "axes.Y": 3,
        "clock_mhz": 100,
    }


def test_a_family_is_all_but_the_values() -> None:
    own = family(task())
    assert family(task(parameters={"axes.Y": (7,), "axes.X": (2, 4)})) == own
    assert family(task(constraints={"area_mm2": {"most": 3}}, description="other")) == own
    assert family(task(parameters={"axes.X": (2,)})) != own
    assert family(task(machine="eyeriss_v1_int8")) != own
    assert family(task(objective="energy")) != own
    assert family(task(batch=2)) != own


@pytest.mark.parametrize("kind", ["nsga2", "tpe"])
def test_a_search_asks_the_same_again_and_gets_nearer(kind: str) -> None:
    numbers = {"from": 1, "to": 40, "step": 1}
    strategy = {"kind": kind, "points": 120, "population": 20, "seed": 5}
    space = task(
        parameters={"axes.X": numbers, "axes.Y": numbers}, strategy=strategy, objectives=GOALS
    ).space
    first, again = searched(space), searched(space)
    assert first == again
    assert len(first) == 120
    early, late = first[:20], first[-20:]
    assert sum(map(sum, late)) < 0.8 * sum(map(sum, early))


GOALS = ("energy_pj", "latency_ms")


def searched(space: Space) -> list[tuple[float, float]]:
    """Distances from (10, 30) and from (12, 28) of all points that were asked for."""
    assert isinstance(space.strategy, Search)
    found, rounds = [], Rounds(space, space.strategy)
    for chosen in rounds:
        points = [(float(each["axes.X"]), float(each["axes.Y"])) for each in chosen]
        values = [(abs(x - 10) + abs(y - 30), abs(x - 12) + abs(y - 28)) for x, y in points]
        found += values
        rounds.tell([{"status": "ok"} | dict(zip(GOALS, pair, strict=True)) for pair in values])
    return found


def test_what_is_outside_the_constraints_is_worst() -> None:
    space = task(constraints={"latency_ms": {"most": 2}}, objectives=GOALS).space
    row: Row = {"status": "ok", "energy_pj": 3.0, "latency_ms": 1.5}
    assert objectives(space, row) == [3.0, 1.5]
    worst = [float("inf")] * 2
    assert objectives(space, row | {"latency_ms": 2.5}) == worst
    assert objectives(space, row | {"status": "infeasible"}) == worst


def test_a_task_survives_its_journey() -> None:
    sent = task()
    assert isinstance(sent, Task)
    assert len(sent.to_bytes()) < 20_000


def test_a_worker_of_another_version_is_refused() -> None:
    other = replace(task(), code="another").to_bytes()
    refused(partial(evaluate, other, ()), "a worker of the cluster runs another version")
