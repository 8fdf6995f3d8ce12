"""Which compression each layer gets: by what it costs on a machine, and what it does to accuracy."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from torch import nn

from compressors._data import Data
from compressors._plan import Plan
from compressors.codesign._budget import (
    Budget,
    Objective,
    Totals,
    check_objective,
)
from compressors.codesign._candidates import Candidate, default_candidates, named
from compressors.codesign._clock import Clock
from compressors.codesign._composed import Composer
from compressors.codesign._cost import LayerCosts, Simulator
from compressors.codesign._goal import Goal
from compressors.codesign._prices import Prices
from compressors.codesign._program import Choice
from compressors.codesign._repair import Attempt, Repair
from compressors.codesign._space import Builder, Space
from compressors.codesign._store import Store
from compressors.codesign._subject import Evaluate, Subject, subject_of
from compressors.codesign._survey import survey
from compressors.codesign._trials import Bench, accuracy
from hwsim import objective as mapping
from hwsim.errors import InputError
from hwsim.hardware import Accelerator, load_machine
from hwsim.progress import Progress, quiet
from hwsim.workload import Network

Sensitivity = Literal["measured", "hessian", "output_error"]
# What a layer's mapping is judged by, for each objective of the network.
MAPPED_BY: Mapping[str, mapping.Objective] = {
    "energy": "energy",
    "latency": "cycles",
    "edp": "edp",
    "accuracy": "edp",
}


def search(
    model: nn.Module,
    machine: str | Accelerator | None,
    evaluate: Evaluate,
    budget: Budget,
    candidates: Iterable[Candidate] | None = None,
    *,
    data: Data,
    calibration: Data | None = None,
    network: Network | None = None,
    cost: LayerCosts | None = None,
    objective: Objective = "energy",
    effort: int = 0,
    bits: int = 16,
    rounds: int = 8,
    store: Path | None = None,
    seed: int = 0,
    progress: Progress = quiet,
) -> "Found":
    check_objective(objective, budget)
    subject = subject_of(
        model, data, calibration=calibration, network=network, bits=bits, seed=seed
    )
    cost = cost or Simulator(
        machine=load_machine(machine) if isinstance(machine, str) else machine,
        objective=MAPPED_BY[objective],
        effort=effort,
    )
    listed = named(default_candidates() if candidates is None else candidates)
    kept, clock = Store(store), Clock(progress)
    bench = Bench(subject=subject, store=kept)
    prices = Prices(cost=cost, store=kept, network=subject.network)
    measure = accuracy(evaluate, "x")
    composer = Composer(bench, prices, measure, listed)
    base = composer.baseline()
    print(base)
    found = survey(bench, listed.values(), measure, clock)
    drop = lambda score: max(0.0, base["accuracy"] - score)
    space = Builder(subject, found.options, found.rates, prices, drop).space()
    print({k: len(v) for k, v in space.problem.items.items()})
    bounds = budget.bounds(base)
    goal = Goal(space.problem, objective)
    repair = Repair(
        problem=space.problem,
        bounds=bounds,
        optimum=goal.best,
        least_drop=goal.least_drop,
        measure=composer.totals,
        scale=base | {"drop": 1.0},
        rounds=rounds,
    )
    repair.run()
    return repair, space, found
