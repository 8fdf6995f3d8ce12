"""The whole search, on networks of a few layers and costs that are formulas or tables."""

import csv
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from compressors import Plan, compress, lower
from compressors.codesign import (
    NONE,
    Budget,
    Candidate,
    Cost,
    EvaluationError,
    Found,
    Table,
    filters,
    fixed_point,
    search,
)
from compressors.codesign._cost import COLUMNS
from hwsim.codesign_report import to_json
from hwsim.errors import InputError
from hwsim.frontends.torch import network_from_torch
from hwsim.hardware import load_machine
from hwsim.simulate import simulate
from hwsim.workload import Layer
from tests.codesign.networks import Fidelity, chain, data, formula

slow = pytest.mark.slow
BUDGET = Budget(accuracy_drop=0.05)
FEW = (NONE, fixed_point(8, 8), fixed_point(4, 6), filters(0.5))


@pytest.fixture(scope="module")
def model() -> nn.Module:
    return chain()


@pytest.fixture(scope="module")
def fidelity(model: nn.Module) -> Fidelity:
    return Fidelity(model)


def searched(
    model: nn.Module,
    evaluate: Callable[[nn.Module], float],
    *,
    machine: str | None = None,
    budget: Budget = BUDGET,
    candidates: Iterable[Candidate] = FEW,
    **others: Any,
) -> Found:
    given = {"cost": formula} | others
    return search(model, machine, evaluate, budget, candidates, data=data(model), **given)


def whole(model: nn.Module, fidelity: Fidelity, steps: dict[str, Any]) -> tuple[float, float]:
    """Energy by the formula and accuracy of a plan, carried out by itself."""
    known = data(model)
    network = network_from_torch(model, (known.images[:1],), name="net")
    module = model
    if any(steps.values()):
        module = compress(model, Plan(layers=steps), data=known, calibration=known)
    layers = lower(network, module, known.images, bits=16)
    return sum(formula(layer).energy_pj for layer in layers), fidelity(module)


@slow
def test_plan_is_near_the_best_of_all_plans(model: nn.Module, fidelity: Fidelity) -> None:
    """All 3 x 3 x 2 plans carried out and measured: none that holds the budget is far better. The
    search measures whole plans too, but few: single layers' drops need not add up."""
    three = (NONE, fixed_point(4, 6), filters(0.5))
    found = searched(model, fidelity, candidates=three, check=True)
    assert found.met
    assert found.plan is not None
    steps = {path: found.plan.layers[path] for path in ("0", "4", "6")}
    energy, top = whole(model, fidelity, steps)
    assert found.report.found.energy_pj == pytest.approx(energy)
    assert found.report.found.accuracy == pytest.approx(top)
    assert top >= 0.95
    best = energy
    for first, second, third in product(three, three, three[:2]):
        plan = {"0": first.steps, "4": second.steps, "6": third.steps}
        other, accuracy = whole(model, fidelity, plan)
        best = min(best, other) if accuracy >= 0.95 else best
    assert energy <= 1.05 * best
    assert found.report.evolution is not None
    assert found.report.evolution.best is not None
    assert found.report.evolution.best >= found.report.evolution.optimum * (1 - 1e-9)


def test_rerun_does_only_what_is_missing(model: nn.Module, tmp_path: Path) -> None:
    """An `evaluate` that fails keeps what was finished; the next run goes on from there, to the
    same bytes."""
    fidelity = Fidelity(model)
    wanted = to_json(searched(model, fidelity).report)
    full, store = fidelity.calls, tmp_path / "kept.sqlite"
    broken = Breaking(model, after=5)
    kept = rf"evaluate: OSError: disk.*plan: \{{'.*kept in {store}, a rerun goes on"
    with pytest.raises(EvaluationError, match=kept):
        searched(model, broken, store=store)
    again = Breaking(model, after=10**6)
    assert to_json(searched(model, again, store=store).report) == wanted
    assert again.calls == full - 5


class Breaking(Fidelity):
    """Fails once it was asked so many times."""

    def __init__(self, model: nn.Module, after: int) -> None:
        super().__init__(model)
        self.after = after

    def __call__(self, model: nn.Module) -> float:
        if self.calls >= self.after:
            raise OSError("disk full")
        return super().__call__(model)


@pytest.mark.parametrize("value", [float("nan"), 1.5, -0.1, None, "high"])
def test_evaluate_that_returns_no_share_stops_the_search(model: nn.Module, value: Any) -> None:
    with pytest.raises(EvaluationError, match=r"returned .* must be a share.*the network as it is"):
        searched(model, lambda module: value)


def test_budget_that_cannot_be_met_returns_the_nearest(
    model: nn.Module, fidelity: Fidelity
) -> None:
    found = searched(model, fidelity, budget=Budget(accuracy_drop=0.01, energy_share=0.01))
    assert not found.met
    assert "no plan found holds the budget" in found.text
    assert "energy" in found.text
    assert "µJ where" in found.text
    assert found.plan is not None


@pytest.mark.parametrize(
    "objective", ["edp", pytest.param("energy", marks=slow), pytest.param("latency", marks=slow)]
)
def test_tighter_budgets_are_never_better(
    model: nn.Module, fidelity: Fidelity, objective: Any
) -> None:
    """By prediction, along the front; and all that is called met is so."""
    found = searched(model, fidelity, objective=objective)
    drops = [point.predicted_drop for point in found.report.front]
    assert drops == sorted(drops)
    for point in found.report.attempts:
        assert point.measured is not None
        assert point.measured.accuracy is not None
        assert point.met == (1.0 - point.measured.accuracy <= 0.05 * (1 + 1e-6))


def test_accuracy_under_budgets_of_energy_and_size(model: nn.Module, fidelity: Fidelity) -> None:
    budget = Budget(energy_share=0.6, size_share=0.6, latency_share=0.9)
    found = searched(model, fidelity, budget=budget, objective="accuracy")
    base, now = found.report.baseline, found.report.found
    assert found.met
    assert now.energy_pj is not None
    assert base.energy_pj is not None
    assert now.energy_pj <= 0.6 * base.energy_pj
    assert now.size_bits <= 0.6 * base.size_bits


def test_table_in_place_of_the_simulator(
    model: nn.Module, fidelity: Fidelity, tmp_path: Path
) -> None:
    """A table of all that a function was asked gives what the function gives."""
    asked: dict[tuple[str, ...], Cost] = {}
    names = ("layer", "K", "C", "ifmap_bits", "weight_bits", "ofmap_bits", "G")

    def noted(layer: Layer) -> Cost:
        found = formula(layer)
        asked[tuple(str(COLUMNS[name](layer)) for name in names)] = found
        return found

    wanted = searched(model, fidelity, cost=noted)
    file = tmp_path / "measured.csv"
    with file.open("w", newline="") as text:
        rows = csv.writer(text)
        rows.writerow((*names, "energy_pj", "latency_ms"))
        rows.writerows((*key, c.energy_pj, c.latency_ms) for key, c in asked.items())
    found = searched(model, fidelity, cost=Table(file))
    assert found.plan == wanted.plan
    assert found.report.found == wanted.report.found


def test_candidate_without_a_row_is_dropped_and_a_layer_without_one_refused(
    model: nn.Module, fidelity: Fidelity, tmp_path: Path
) -> None:
    file = tmp_path / "part.csv"
    names = ["0", "1", "2", "4", "5", "6"]
    rows = [f"{name},{bits},1,1" for name in names for bits in (8, 16)]
    file.write_text("\n".join(["layer,ifmap_bits,energy_pj,latency_ms", *rows]) + "\n")
    found = searched(model, fidelity, cost=Table(file), candidates=FEW[:3])
    reasons = {(one.layer, one.candidate): one.reason for one in found.report.dropped}
    assert "no row with layer = 4, ifmap_bits = 6" in reasons["4", "w4a6"]
    file.write_text("\n".join(["layer,ifmap_bits,energy_pj,latency_ms", *rows[2:]]) + "\n")
    with pytest.raises(InputError, match=r"layer '0': none of the candidates .* no row with"):
        searched(model, fidelity, cost=Table(file), candidates=FEW[:3])


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "has no rows"),
        ("layer,energy_pj\n1,2\n", "has no column latency_ms"),
        ("layr,energy_pj,latency_ms\n1,2,3\n", "column 'layr': known: layer"),
        ("layer,energy_pj,latency_ms\n1,two,3\n", "line 2: energy_pj = 'two': must be a number"),
        ("layer,energy_pj,latency_ms\n1,2,3\n1,2,4\n", "line 3: layer = 1: a second time"),
    ],
)
def test_tables_that_cannot_be_used(tmp_path: Path, text: str, complaint: str) -> None:
    file = tmp_path / "table.csv"
    file.write_text(text)
    with pytest.raises(InputError, match=r"table\.csv: ") as caught:
        Table(file)
    assert complaint in str(caught.value)


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"budget": Budget()}, "accuracy_drop is missing"),
        ({"objective": "joules"}, "objective = 'joules': known: energy"),
        ({"sensitivity": "guessed"}, "sensitivity = 'guessed': known: measured"),
        ({"candidates": ()}, "candidates: there are none"),
        ({"candidates": (NONE, Candidate.of("none", "shiftcnn"))}, "two of them are named 'none'"),
        ({"cost": None}, "machine is missing"),
        ({"rounds": 0}, "rounds = 0: must be at least 1"),
    ],
)
def test_bad_input(
    model: nn.Module, fidelity: Fidelity, given: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(InputError) as caught:
        searched(model, fidelity, **given)
    assert complaint in str(caught.value)


def test_network_without_weights() -> None:
    known = data(chain())
    with pytest.raises(InputError, match="Sequential: no convolution or linear layer"):
        search(nn.Sequential(nn.ReLU()), None, lambda _: 1.0, BUDGET, data=known, cost=formula)


def test_layer_that_no_candidate_suits(model: nn.Module, fidelity: Fidelity) -> None:
    """The last layer's channels are the answer: they cannot go, and nothing else is offered."""
    with pytest.raises(InputError, match=r"layer '6': none of .* channels reach the"):
        searched(model, fidelity, candidates=[filters(0.5)])


def test_budgets_that_are_no_numbers() -> None:
    with pytest.raises(InputError, match="budget: accuracy_drop = 2: at most 1"):
        Budget(accuracy_drop=2)
    with pytest.raises(InputError, match="budget: energy_pj = nan"):
        Budget(energy_pj=float("nan"))


def test_simulated_costs_are_the_simulators(model: nn.Module, fidelity: Fidelity) -> None:
    """The plan, lowered and simulated by itself, costs what the report says."""
    candidates = (NONE, fixed_point(8, 8))
    found = searched(model, fidelity, machine="eyeriss_v1", cost=None, candidates=candidates)
    assert found.plan is not None
    known = data(model)
    network = network_from_torch(model, (known.images[:1],), name="net")
    module = compress(model, found.plan, data=known, calibration=known)
    lowered = lower(network, module, known.images, bits=16)
    machine = load_machine("eyeriss_v1")
    result = simulate(lowered, machine, objective="energy", workers=1)
    assert found.report.found.energy_pj == pytest.approx(result.energy_pj)
    assert found.report.found.latency_ms == pytest.approx(result.cycles / machine.clock_mhz / 1e3)
    assert {layer.name: layer.cycles for layer in found.report.layers} == {
        each.layer.name: each.cost.cycles for each in result.layers
    }
    assert [layer.name for layer in found.report.compressed_layers] == ["0", "4", "6"]
    for layer in found.report.compressed_layers:
        assert layer.runner_up != layer.choice
        assert layer.runner_up is None or layer.runner_up_excess is not None
        assert (layer.paid == "nothing") == (layer.choice == "none")


def test_machine_that_cannot_run_the_network_as_it_is(model: nn.Module, fidelity: Fidelity) -> None:
    """Words of 16 bits are too wide for 8-bit MACs: nothing is not an option, and shares of it are
    no budget."""
    given: dict[str, Any] = {"machine": "eyeriss_v1_int8", "cost": None, "candidates": FEW[:3]}
    found = searched(model, fidelity, **given)
    assert found.report.baseline.energy_pj is None
    reasons = {one.layer: one.reason for one in found.report.dropped if one.candidate == "none"}
    assert set(reasons) == {"0", "4", "6"}
    with pytest.raises(InputError, match=r"energy_share = 0\.5: the machine cannot run"):
        Budget(energy_share=0.5).bounds({"size": 1.0, "drop": 0.0})


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.codesign.networks import Fidelity, chain
from tests.codesign.test_search import searched

class Killed(Fidelity):
    def __call__(self, module):
        if self.calls == 4:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(module)

model = chain()
searched(model, Killed(model), store=Path(sys.argv[1]))
"""


@slow
def test_search_that_was_killed_goes_on(model: nn.Module, tmp_path: Path) -> None:
    """SIGKILL in the midst of a trial: what was finished is there, and is not done again."""
    fidelity = Fidelity(model)
    wanted = to_json(searched(model, fidelity).report)
    store = tmp_path / "kept.sqlite"
    done = subprocess.run([sys.executable, "-c", KILLED, str(store)], check=False, timeout=120)
    assert done.returncode == -signal.SIGKILL
    again = Fidelity(model)
    assert to_json(searched(model, again, store=store).report) == wanted
    assert again.calls == fidelity.calls - 4
