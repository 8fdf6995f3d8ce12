"""Does the simulator matter? `python -m benchmarks.codesign --help`.

The same search, for the same trials, driven by parameters, by MACs, by bit operations and by
simulated energy, and the best single candidate for all layers, on several machines. Some of the
test images judge trials, others whole plans; what is reported is the simulated energy of the plan
on the machine and accuracy on the rest. A second table puts the plans of each machine on all
others. With `--split` other test images judge, drawn by that seed. Every trial and every plan is
kept in the store as it ends, and a run that was stopped goes on; docs/policies.json has the
results, docs/policies.md the tables.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchmarks._codesign_page import page
from benchmarks._codesign_policies import PROXIES, SIMULATED, UNIFORM, simulator
from compressors import Data, compress, frozen, lower
from compressors._plan import Plan
from compressors.codesign import Budget, Candidate, filters, fixed_point, magnitude, search
from hwsim import registry
from hwsim.accuracy import top1
from hwsim.networks import load_network
from hwsim.planning import Judge, split
from hwsim.progress import Progress, shown
from hwsim.simulate import simulate
from hwsim.workload import Network
from models._weights import find_weights, load_weights

NETWORKS = ("alexnet_fashion", "mobilenet_v1_fashion")
MACHINES = ("eyeriss_v1", "bit_fusion", "zero_skipping")
DROPS = (0.005, 0.01, 0.02)
# Of the 10,000 test images; accuracy is reported on the others.
JUDGED, CONFIRMED = 1000, 3000
ROUNDS = 6  # plans that a search measures
BITS, LIVE = 16, 256
ROOT = Path(__file__).parents[1]
RESULTS, TRIALS = ROOT / "docs" / "policies.json", ROOT / "results" / "codesign_trials.sqlite"
Row = dict[str, Any]


def candidates(network: str) -> tuple[Candidate, ...]:
    """Widths, zeros, and both, which all machines run; filters where a network has many."""
    narrow = tuple(fixed_point(w, a) for w, a in ((8, 8), (6, 8), (4, 8), (6, 6), (4, 4)))
    sparse = tuple(fixed_point(8, 8).after(magnitude(s)) for s in (0.3, 0.5, 0.7))
    thin = (fixed_point(8, 8).after(filters(0.75)),) if network == "alexnet_fashion" else ()
    return (*narrow, *sparse, *thin)


@dataclass(frozen=True)
class Subject:
    """A trained network and its images, the test images in the order of a seed, or as they are."""

    name: str
    split: int = 0

    @cached_property
    def model(self) -> nn.Module:
        """The network."""
        file = registry.module("network", self.name)
        model: nn.Module = file.build()
        path = find_weights(file)
        assert path is not None
        load_weights(model, path)
        return model

    @cached_property
    def network(self) -> Network:
        """Its layers."""
        return load_network(self.name, batch=1)

    @cached_property
    def images(self) -> tuple[Any, Any, Any]:
        """Test images that report, that judge whole plans, and that judge trials."""
        whole = shuffled(registry.module("data set", "fashion_mnist").load(), self.split)
        kept, judges = split(whole, JUDGED + CONFIRMED)
        return kept, *split(judges, JUDGED)

    @cached_property
    def data(self) -> Data:
        """Images that methods learn from."""
        kept = self.images[0]
        return Data(images=kept.calibration, labels=kept.calibration_labels)

    def measured(self, plan: Plan | None, machines: tuple[str, ...]) -> Row:
        """Accuracy on the images left, and energy and latency on each machine."""
        model = self.model if plan is None else compress(self.model, plan, data=self.data)
        kept = self.images[0]
        network = lower(self.network, model, self.data.images[:LIVE], bits=BITS)
        found = {name: costs(network, name) for name in machines}
        return {"top1": top1(frozen(model), kept.images, kept.labels), "machines": found}


def costs(network: Network, machine: str) -> Row:
    """Energy and latency of a network, each layer under its mapping of least energy."""
    result = simulate(network, simulator(machine).machine, objective="energy")
    ms = result.cycles / (result.machine.clock_mhz * 1e3)
    return {"energy_pj": result.energy_pj, "latency_ms": ms}


def shuffled(found: Any, seed: int) -> Any:
    """A data set with its test images in another order, but for seed 0."""
    if not seed:
        return found
    order = torch.randperm(len(found.labels), generator=torch.Generator().manual_seed(seed))
    return replace(found, images=found.images[order], labels=found.labels[order])


@cache
def subject(name: str, seed: int) -> Subject:
    """One of the networks, loaded once."""
    return Subject(name, seed)


@dataclass(frozen=True)
class Case:
    """A policy's plan for a network under a budget; `machine` is one that the policy knows, if any
    does."""

    network: str
    policy: str
    drop: float
    machine: str = ""
    split: int = 0

    @property
    def subject(self) -> Subject:
        """The network, and the images in their order."""
        return subject(self.network, self.split)

    @property
    def place(self) -> str:
        """The network, and the split where it is not the first."""
        return self.network + (f", split {self.split}" if self.split else "")

    @property
    def key(self) -> str:
        """What tells it apart among the results."""
        return " / ".join((self.place, self.policy, f"{self.drop:g}", self.machine or "any"))


def cases(
    networks: tuple[str, ...], machines: tuple[str, ...], drops: tuple[float, ...], split: int = 0
) -> Iterator[Case]:
    """Every plan that is to be found, those of one network together."""
    for network in networks:
        for drop in drops:
            for machine in machines:
                yield Case(network, SIMULATED, drop, machine, split)
                yield Case(network, UNIFORM, drop, machine, split)
            for policy in PROXIES:
                yield Case(network, policy, drop, split=split)


def planned(case: Case, progress: Progress) -> tuple[Plan | None, float]:
    """The plan, and by how much accuracy fell on the images that judge plans."""
    found = case.subject
    if case.policy == UNIFORM:
        return uniform(case)
    cost = PROXIES.get(case.policy) or simulator(case.machine)
    result = search(
        found.model,
        None,
        Judge(found.images[2]),
        Budget(accuracy_drop=case.drop),
        candidates(case.network),
        data=found.data,
        network=found.network,
        cost=cost,
        confirm=Judge(found.images[1]),
        bits=BITS,
        rounds=ROUNDS,
        store=TRIALS,
        progress=progress,
    )
    before, after = result.report.baseline.accuracy, result.report.found.accuracy
    assert before is not None
    assert after is not None
    return result.plan, before - after


def cuts(candidate: Candidate) -> int:
    """How many of its steps remove channels, which are the first."""
    return sum(step.removes_channels for step in candidate.steps)


def uniform(case: Case) -> tuple[Plan | None, float]:
    """Of the candidates that all layers may have within the budget, the one of least energy."""
    held = [one for one in alike(case.subject) if one[1] <= case.drop]
    if not held:
        return None, 0.0
    plan, drop, _ = min(held, key=lambda one: costs(one[2], case.machine)["energy_pj"])
    return plan, drop


@cache
def alike(found: Subject) -> list[tuple[Plan, float, Network]]:
    """Plans of one candidate for all layers, what accuracy falls by, and the network under each;
    where a candidate cuts filters, the last layer has the others' words alone."""
    plans = []
    judge, last = found.images[1], [layer.name for layer in found.network if layer.weighted][-1]
    before = top1(found.model, judge.images, judge.labels)
    for candidate in candidates(found.name):
        plan = Plan(layers={"*": candidate.steps, last: candidate.steps[cuts(candidate) :]})
        model = compress(found.model, plan, data=found.data)
        drop = before - top1(frozen(model), judge.images, judge.labels)
        network = lower(found.network, model, found.data.images[:LIVE], bits=BITS)
        plans.append((plan, drop, network))
    return plans


def main() -> None:
    """Finds what is not among the results yet, and writes the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", action="append", choices=NETWORKS)
    parser.add_argument("--machine", action="append", choices=MACHINES)
    parser.add_argument("--drop", action="append", type=float)
    parser.add_argument("--split", type=int, default=0)
    asked = parser.parse_args()
    networks, machines = asked.network or NETWORKS, asked.machine or MACHINES
    wanted = tuple(cases(networks, machines, asked.drop or DROPS, asked.split))
    known: dict[str, Row] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    TRIALS.parent.mkdir(exist_ok=True)
    with shown() as progress:
        for case in wanted:
            if case.place not in known:
                known[case.place] = case.subject.measured(None, ())
        for number, case in enumerate(wanted):
            if case.key not in known:
                progress(f"{number + 1} of {len(wanted)}: {case.key}")
                plan, drop = planned(case, progress)
                known[case.key] = row(case, plan, drop)
                write(known)
    write(known)


def row(case: Case, plan: Plan | None, drop: float) -> Row:
    """All that is told of a plan."""
    steps = {} if plan is None else plan.model_dump(mode="json")["layers"]
    found = case.subject.measured(plan, MACHINES)
    own = {"network": case.place, "policy": case.policy, "drop": case.drop}
    return own | {"machine": case.machine, "judged_drop": drop, "plan": steps, **found}


def write(known: dict[str, Row]) -> None:
    """The results and their page."""
    RESULTS.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    RESULTS.with_suffix(".md").write_text(page(known), encoding="utf-8")


if __name__ == "__main__":
    main()
