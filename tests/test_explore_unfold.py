"""Points of a front layer by layer: against what was stored, and against `hwsim.simulate`."""

from collections.abc import Mapping
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from typing import Any

import pytest

from hwsim.explore.evaluate import Row, Task, evaluate
from hwsim.explore.points import grid, numbered
from hwsim.explore.space import Space, machine_contents
from hwsim.explore.unfold import unfold, unfolded
from hwsim.explore.workloads import Workload
from hwsim.hardware import load_machine
from hwsim.side import side_of
from hwsim.simulate import simulate
from hwsim.workload import Layer, Network, Op
from tests.test_explore_run import Crewed

NETWORK = Network(
    name="tiny",
    layers=(
        Layer(name="conv", K=6, C=5, P=7, Q=9, R=3, S=2, stride_h=2, pad_h=1, pad_w=1),
        Layer(name="relu", op=Op.ACTIVATION, C=6, P=7, Q=9),
        Layer(name="twin", K=6, C=5, P=7, Q=9, R=3, S=2, stride_h=2, pad_h=1, pad_w=1),
        Layer(name="classifier", op=Op.LINEAR, K=10, C=70),
    ),
    edges=(("conv", "relu"), ("relu", "twin"), ("twin", "classifier")),
)
SAID = {"description": "a test", "machine": "eyeriss_v1", "network": "alexnet", "bits": 8}


def task(network: Network = NETWORK, **said: Any) -> Task:
    """A space of the network in place of the one that it names."""
    space = Space.model_validate(SAID | said)
    known = {("alexnet", 1): Workload.of(network, space=space, accuracy=0.75)}
    return Task(space, machine_contents(space), known)


def stored(asked: Task) -> list[Row]:
    """Every point, truths as the database gives them back."""
    points = [numbered(asked.space, "test")(chosen) for chosen in grid(asked.space.axes)]
    return [
        {name: int(value) if isinstance(value, bool) else value for name, value in row.items()}
        for row in evaluate(asked.to_bytes(), points)
    ]


def check_sums(row: Mapping[str, Any], asked: Task) -> None:
    found = unfolded(asked, row).side
    assert found.energy_pj == pytest.approx(row["energy_pj"])
    assert found.latency_ms == pytest.approx(row["latency_ms"])
    assert (found.cycles, found.dram_bits) == (row["cycles"], row["dram_bits"])
    for component, energy_pj in found.energy_by_component_pj.items():
        assert energy_pj == pytest.approx(row[f"{component}_pj"])


def test_layers_sum_to_what_is_stored() -> None:
    parameters = {
        "axes.X": (3, 14),
        "dataflow": ("row_stationary", "no_local_reuse"),
        "mac.zero_gating": (True, False),
        "speed": {"slow": {"clock_mhz": 50}, "fast": {"clock_mhz": 400, "process_nm": 32}},
    }
    asked = task(parameters=parameters)
    rows = stored(asked)
    assert {row["status"] for row in rows} == {"ok"}
    assert len({row["energy_pj"] for row in rows}) >= 8
    for row in rows:
        check_sums(row, asked)


def test_a_capacity_that_fills_an_area_is_found_again() -> None:
    asked = task(fill={"field": "GLB.ifmap.capacity_bits", "area_mm2": 13})
    (row,) = stored(asked)
    check_sums(row, asked)


def test_layers_are_those_that_simulate_finds() -> None:
    asked = task(parameters={"clock_mhz": (200,)})
    (row,) = stored(asked)
    found = unfolded(asked, row)
    wide = {
        layer.name: layer.at_bits(ifmap=8, weight=8, ofmap=8, psum=16) for layer in NETWORK.layers
    }
    result = simulate(NETWORK.with_layers(wide), load_machine("eyeriss_v1"), workers=1)
    expected = side_of(result, label="", top1=0.75)
    assert found.side.layers == expected.layers
    assert found.side.layers[1].fused_into == "conv"
    assert found.side.top1 == 0.75


class Dead(Executor):
    """Its workers die of whatever they are given."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        raise BrokenExecutor


@pytest.mark.parametrize("executor", [ThreadPoolExecutor(1), Dead()])
def test_a_crew_unfolds_them_or_else_this_process(executor: Executor) -> None:
    asked = task(parameters={"clock_mhz": (100, 200)})
    rows = stored(asked)
    crew = Crewed(executor)
    crew.deaths = (BrokenExecutor,)
    assert unfold(asked, crew, rows) == {str(row["key"]): unfolded(asked, row) for row in rows}


def test_what_waits_for_lanes_sums_too() -> None:
    asked = task(machine="zero_skipping")
    (row,) = stored(asked)
    check_sums(row, asked)
