"""What a search found: the plan, and the record that says why."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from compressors._plan import Plan
from compressors.codesign._budget import Totals
from compressors.codesign._clock import Clock
from compressors.codesign._composed import Composer, Priced
from compressors.codesign._cost import Cost, LayerCosts, Simulator
from compressors.codesign._evolution import Evolution
from compressors.codesign._explain import gains, paid
from compressors.codesign._goal import Goal
from compressors.codesign._program import Choice
from compressors.codesign._repair import Attempt, Repair
from compressors.codesign._scores import Scores
from compressors.codesign._space import candidate_of, size_bits
from compressors.codesign._subject import Subject
from compressors.codesign._survey import Dropped
from hwsim import codesign_report
from hwsim.codesign_report import (
    CodesignReport,
    DroppedCandidate,
    LayerChoice,
    Point,
)
from hwsim.errors import InputError
from hwsim.workload import Layer

FAR = 4  # budgets of accuracy that a front goes on for
# What a budget is called, its unit, and how many of these its own is.
NAMES: Mapping[str, tuple[str, str, float]] = {
    "drop": ("accuracy drop", "points", 100),
    "energy": ("energy", "µJ", 1e-6),
    "latency": ("latency", "ms", 1),
    "size": ("size", "kB", 1 / 8000),
}


@dataclass(frozen=True, kw_only=True)
class Found:
    """The plan, None where every layer is best left as it is; whether its budget `met` what was
    measured, and if not, `text` says by how much. All else is in the `report`."""

    plan: Plan | None
    met: bool
    text: str
    report: CodesignReport

    def write(self, folder: Path) -> tuple[Path, ...]:
        """Writes codesign.json, codesign.csv and the plots; returns their paths."""
        return codesign_report.write(self.report, folder)


@dataclass(frozen=True, kw_only=True, eq=False)
class Findings:
    """All that a report is made from."""

    composer: Composer
    scores: Scores
    goal: Goal
    repair: Repair
    dropped: tuple[Dropped, ...]
    check: bool

    @property
    def subject(self) -> Subject:
        """What was searched."""
        return self.composer.bench.subject

    @property
    def clock(self) -> Clock:
        """That of the search."""
        return self.repair.clock

    @property
    def best(self) -> Attempt:
        """Of what was measured: the best that holds its budgets, or else what is nearest to them.

        Raises InputError where nothing could be measured.
        """
        attempts = self.repair.attempts
        if not attempts:
            raise InputError("no choice of candidates fits together: give more of them")
        met = [attempt for attempt in attempts if attempt.met]
        if not met:
            return min(attempts, key=lambda one: one.worst)
        return min(met, key=lambda one: self.value(one.measured))

    def value(self, totals: Totals) -> float:
        """What the objective makes of measured totals."""
        if self.goal.objective == "edp":
            return totals["energy"] * totals["latency"]
        return totals["drop" if self.goal.objective == "accuracy" else self.goal.objective]


def found_of(findings: Findings) -> Found:
    """The result, explained."""
    best = findings.best
    report = _report(findings, best)
    steps = findings.composer.steps(best.choice)
    plan = Plan(layers=steps) if any(steps.values()) else None
    return Found(plan=plan, met=report.met, text=report.text, report=report)


def _report(findings: Findings, best: Attempt) -> CodesignReport:
    attempts = findings.repair.attempts
    return CodesignReport(
        network=findings.subject.network.name,
        machine=name_of(findings.composer.prices.cost),
        objective=findings.goal.objective,
        sensitivity=findings.scores.sensitivity,
        bounds=dict(findings.repair.bounds),
        met=best.met,
        text=text_of(best, findings.repair.bounds),
        baseline=_totals(findings.composer.baseline()),
        found=_totals(best.measured),
        predicted=_point(findings, best.choice, best),
        layers=_layers(findings, best),
        front=_front(findings),
        attempts=tuple(_point(findings, one.choice, one) for one in attempts),
        candidates={
            name: tuple(step.method for step in each.steps)
            for name, each in findings.composer.candidates.items()
        },
        dropped=tuple(
            DroppedCandidate(layer=one.layer, candidate=one.candidate, reason=one.reason)
            for one in findings.dropped
        ),
        comparisons=findings.scores.comparisons,
        gap=max(findings.goal.solve.gaps, default=0.0),
        evolution=_evolution(findings, best) if findings.check else None,
    )


def name_of(cost: LayerCosts) -> str:
    """The machine's, or what else says what layers cost."""
    if isinstance(cost, Simulator):
        return cost.machine.name
    name = getattr(cost, "name", None) or getattr(cost, "__name__", type(cost).__name__)
    return str(name)


def _evolution(findings: Findings, best: Attempt) -> codesign_report.Evolution:
    """What an evolutionary search of the same tables finds under the same budgets."""
    findings.clock.progress("trying to beat the plan")
    budgets = findings.repair.allowed(best.predicted["drop"])
    search = Evolution(findings.goal, budgets, seed=findings.subject.seed)
    return codesign_report.Evolution(
        best=search.run(),
        optimum=findings.goal.value(best.choice),
        evaluations=search.evaluations,
    )


def text_of(best: Attempt, bounds: Mapping[str, float]) -> str:
    """Whether the budgets hold, in a sentence."""
    if best.met:
        return "the plan holds its budget"
    parts = []
    for quantity in best.excess:
        name, unit, scale = NAMES[quantity]
        found, allowed = (scale * each[quantity] for each in (best.measured, bounds))
        parts.append(f"{name} {found:.6g} {unit} where {allowed:.6g} was allowed")
    return f"no plan found holds the budget; the nearest has {' and '.join(parts)}"


def _totals(found: Totals) -> codesign_report.Totals:
    return codesign_report.Totals(
        energy_pj=found.get("energy"),
        latency_ms=found.get("latency"),
        size_bits=found["size"],
        accuracy=found.get("accuracy"),
        accuracy_error=found.get("error"),
    )


def _point(findings: Findings, choice: Choice, attempt: Attempt | None = None) -> Point:
    total = findings.goal.problem.total
    return Point(
        choices=findings.composer.names(choice),
        predicted_drop=total(choice, "drop"),
        predicted_energy_pj=total(choice, "energy"),
        predicted_latency_ms=total(choice, "latency"),
        predicted_size_bits=total(choice, "size"),
        measured=_totals(attempt.measured) if attempt else None,
        met=attempt.met if attempt else None,
    )


def _front(findings: Findings) -> tuple[Point, ...]:
    findings.clock.progress("drawing the front")
    known = {tuple(findings.composer.names(a.choice).items()): a for a in findings.repair.attempts}
    others = findings.repair.allowed(float("inf"))
    choices = findings.goal.front(
        {k: v for k, v in others.items() if k != "drop"},
        most_drop=FAR * findings.repair.bounds.get("drop", 0.0) or 1.0,
    )
    return tuple(
        _point(findings, one, known.get(tuple(findings.composer.names(one).items())))
        for one in choices
    )


def _layers(findings: Findings, best: Attempt) -> tuple[LayerChoice, ...]:
    composer = findings.composer
    after = composer.priced(composer.steps(best.choice))
    try:
        before: Priced = composer.priced(composer.untouched)
    except InputError:
        before = {}
    told = findings.clock.told(list(after), "explaining layers")
    return tuple(_layer(findings, best, *after[name], before) for name in told)


def _layer(
    findings: Findings, best: Attempt, layer: Layer, cost: Cost, before: Priced
) -> LayerChoice:
    subject, state = findings.subject, best.choice[layer.name]
    choice = candidate_of(state)
    machine = findings.composer.prices.cost
    chip = machine.machine if isinstance(machine, Simulator) else None
    was, earlier = before.get(layer.name, (subject.network[layer.name], None))
    found = gains(layer, was, findings.composer.prices, subject.bits) if choice else ()
    runner_up, excess = _runner_up(findings, best, layer.name) if choice else (None, None)
    by_time = findings.goal.objective == "latency"
    return LayerChoice(
        name=layer.name,
        op=str(layer.op),
        choice=choice,
        candidates=_count(findings, layer.name) if choice else 0,
        energy_pj=cost.energy_pj,
        latency_ms=cost.latency_ms,
        cycles=cost.cycles,
        bound=cost.bound,
        size_bits=size_bits(layer),
        components_pj=dict(cost.components_pj),
        accuracy_drop=state.costs["drop"] + _of_channels(findings, best, layer.name),
        baseline_energy_pj=earlier.energy_pj if earlier else None,
        baseline_latency_ms=earlier.latency_ms if earlier else None,
        baseline_cycles=earlier.cycles if earlier else None,
        baseline_bound=earlier.bound if earlier else "",
        baseline_components_pj=dict(earlier.components_pj) if earlier else {},
        runner_up=runner_up,
        runner_up_excess=excess,
        paid=paid(found, chip, layer, by_time=by_time) if choice else "",
        gains=found,
    )


def _count(findings: Findings, layer: str) -> int:
    """How many candidates the layer had in the end."""
    return len({candidate_of(state) for state in findings.goal.problem.items[layer]})


def _of_channels(findings: Findings, best: Attempt, layer: str) -> float:
    """What the channels of a group cost in accuracy, at the first layer that makes them."""
    item = best.choice.get(f"channels of {layer}")
    return item.costs["drop"] if item else 0.0


def _runner_up(findings: Findings, best: Attempt, layer: str) -> tuple[str | None, float | None]:
    """What the layer has in the best plan that gives it something else."""
    label = best.choice[layer].label
    budgets = findings.repair.allowed(max(best.predicted["drop"], 0.0))
    other = findings.goal.best(budgets, banned=[{layer: label}])
    if other is None:
        return None, None
    own, theirs = findings.goal.value(best.choice), findings.goal.value(other)
    return candidate_of(other[layer]), theirs / own - 1 if own else None
