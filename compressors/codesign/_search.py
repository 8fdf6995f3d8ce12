"""Which compression each layer gets: by its cost on a machine, and by what accuracy allows."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from torch import nn

from compressors._data import Data
from compressors.codesign._budget import Budget, Objective, Totals, check_objective
from compressors.codesign._candidates import Candidate, default_candidates, named
from compressors.codesign._clock import Clock
from compressors.codesign._composed import Composer
from compressors.codesign._cost import LayerCosts, Simulator
from compressors.codesign._fingerprint import fingerprint
from compressors.codesign._found import Findings, Found, found_of
from compressors.codesign._goal import Goal
from compressors.codesign._prices import Prices
from compressors.codesign._repair import Repair
from compressors.codesign._scores import Scores
from compressors.codesign._sensitivity import Sensitivity, check_sensitivities
from compressors.codesign._space import Builder, Space
from compressors.codesign._store import Store
from compressors.codesign._subject import Evaluate, subject_of
from compressors.codesign._survey import Survey, survey
from compressors.codesign._trials import Bench, EvaluationError, Measure, accuracy
from hwsim import objective as mapping
from hwsim.errors import InputError
from hwsim.hardware import Accelerator, load_machine
from hwsim.progress import Progress, quiet
from hwsim.workload import Network

# What a layer's mapping is judged by, for each objective of the network.
MAPPED_BY: Mapping[Objective, mapping.Objective] = {
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
    confirm: Evaluate | None = None,
    sensitivity: Sensitivity = "measured",
    compare: Sequence[Sensitivity] = (),
    objective: Objective = "energy",
    effort: int = 0,
    bits: int = 16,
    rounds: int = 8,
    check: bool = False,
    store: Path | None = None,
    seed: int = 0,
    progress: Progress = quiet,
) -> Found:
    """The plan of least `objective` whose `budget` holds, out of `candidates` for each layer.

    Every candidate is tried on every layer alone: what it does to accuracy is measured by
    `evaluate(module)`, a share in 0..1 or, better, a tensor of true or false for each image, or
    told by a proxy (`sensitivity`; others are put beside it by `compare`), and what it costs is
    asked of `cost`, by default the simulator of `machine`: a name, a path or a record. An integer
    program then chooses for all layers at once, those that share channels or words coupled. The
    network under its choice is measured as a whole, by `confirm` if it is given: on more images
    than trials can afford, and on others, so that luck in trials is not taken for accuracy. What
    was wrong about the prediction is corrected, and the program is solved again, `rounds` plans at
    most. Where none holds the budget the nearest is returned, and the result says so.

    `data` are training images that methods learn from, none of them those of `evaluate`; methods
    that need no labels learn from `calibration`, by default the first of them. `network` is the
    model as the simulator knows it, by default traced for one image at a time. Words that nothing
    narrows take `bits`. Layers are mapped with `effort`, see `hwsim.simulate.search`. A `store`
    keeps what was simulated and measured, as it ends: a search that is run again does what is
    missing. There `evaluate` is known by its `fingerprint`, or if it has none by its code and by
    what that refers to. With `check` an evolutionary search tries to beat the program. Equal
    arguments give equal results.

    Raises InputError for what cannot be used, and EvaluationError, which names the plan, where
    `evaluate` raises or returns neither; what was finished is in the store.
    """
    check_objective(objective, budget)
    check_sensitivities(sensitivity, *compare)
    if rounds < 1:
        raise InputError(f"rounds = {rounds}: must be at least 1")
    subject = subject_of(
        model, data, calibration=calibration, network=network, bits=bits, seed=seed
    )
    priced = cost or _simulator(machine, objective, effort)
    listed = named(default_candidates() if candidates is None else candidates)
    judged, confirmed = _accuracy(evaluate), _accuracy(confirm or evaluate)
    bench = Bench(subject=subject, store=Store(store))
    prices = Prices(cost=priced, store=bench.store, network=subject.network, progress=progress)
    composer = Composer(bench, prices, confirmed, listed, budget.confidence)
    scores = Scores(bench, judged, sensitivity, tuple(compare))
    with _saying_what_is_kept(store):
        return _searched(
            composer, scores, budget, objective, rounds=rounds, check=check, clock=Clock(progress)
        )


def _simulator(machine: str | Accelerator | None, objective: Objective, effort: int) -> Simulator:
    if machine is None:
        raise InputError("machine is missing: name one, or give a cost")
    chip = load_machine(machine) if isinstance(machine, str) else machine
    return Simulator(machine=chip, objective=MAPPED_BY[objective], effort=effort)


def _accuracy(evaluate: Evaluate) -> Measure:
    """What `evaluate` says, under a name that is its own."""
    return accuracy(evaluate, fingerprint(evaluate))


@contextmanager
def _saying_what_is_kept(store: Path | None) -> Iterator[None]:
    """An EvaluationError also says where to find what was finished before it."""
    try:
        yield
    except EvaluationError as error:
        kept = (
            f"kept in {store}, a rerun goes on from there" if store else "not kept, without store"
        )
        raise EvaluationError(f"{error}; what was finished is {kept}") from error


def _searched(
    composer: Composer,
    scores: Scores,
    budget: Budget,
    objective: Objective,
    *,
    rounds: int,
    check: bool,
    clock: Clock,
) -> Found:
    """The course of a search: single layers are tried, a program chooses, wholes are measured."""
    clock.progress("measuring the network as it is")
    base = composer.baseline()
    bounds = budget.bounds(base)
    tried = survey(composer.bench, composer.candidates.values(), scores.measures, clock)
    space = _space(scores.judged(tried, clock), composer, clock)
    goal = Goal(space.problem, objective)
    repair = _repair(goal, composer, base=base, bounds=bounds, rounds=rounds, clock=clock)
    repair.run()
    return found_of(
        Findings(
            composer=composer,
            scores=scores,
            goal=goal,
            repair=repair,
            dropped=space.dropped,
            check=check,
        )
    )


def _space(judged: Survey, composer: Composer, clock: Clock) -> Space:
    """What layers can be, all priced."""
    return Builder(
        subject=composer.bench.subject,
        options=judged.options,
        rates=judged.rates,
        price=composer.prices,
        clock=clock,
        dropped=[*judged.dropped],
        ahead=composer.prices.ahead,
    ).space()


def _repair(
    goal: Goal,
    composer: Composer,
    *,
    base: Totals,
    bounds: Mapping[str, float],
    rounds: int,
    clock: Clock,
) -> Repair:
    """What measures the choices of a goal, and corrects what was predicted of them."""
    return Repair(
        problem=goal.problem,
        bounds=bounds,
        optimum=goal.best,
        value=goal.value,
        least_drop=goal.least_drop,
        measure=composer.totals,
        scale={"energy": 1.0, "latency": 1.0, **base, "drop": 1.0},
        rounds=rounds,
        clock=clock,
    )
