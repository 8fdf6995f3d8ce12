"""The plan of a scenario's compressed side: as its file says it, or as a search chooses it."""

from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwsim import codesign_report
from hwsim.errors import InputError
from hwsim.mapping_cache import current
from hwsim.page import points
from hwsim.scenario_file import Scenario, compressors_library, plan_of, planner_library, sought

if TYPE_CHECKING:
    from torch import Tensor, nn

    from hwsim.experiment import Subject

TRIALS = "trials.sqlite"


@dataclass(frozen=True)
class Choice:
    """A plan, None where all layers stay as they are; how it was found, if by a search; files."""

    plan: Any
    report: codesign_report.CodesignReport | None
    files: dict[str, bytes]


def chosen(subject: "Subject", scenario: Scenario) -> Choice:
    """The plan that the scenario names, or that its search finds.

    Whatever the search simulated or measured is kept where mappings are, so that a later one goes
    on from there. Raises InputError.
    """
    wanted = scenario.compressed
    if wanted.search is None:
        plan = plan_of(wanted, file=scenario.name)
        return Choice(plan, None, _files(plan))
    budget, candidates = sought(wanted.search, file=scenario.name)
    planner = planner_library()
    trials, confirm = judges(subject.judged, wanted.search.images)
    found = planner.search(
        subject.module,
        wanted.machine,
        trials,
        budget,
        candidates,
        network=subject.network,
        cost=wanted.search.costs and planner.Table(wanted.search.costs),
        confirm=confirm,
        objective=wanted.search.objective,
        sensitivity=wanted.search.sensitivity,
        rounds=wanted.search.rounds,
        effort=subject.effort,
        bits=scenario.baseline.bits,
        store=trials_file(),
        seed=scenario.seed,
        progress=subject.progress,
        **lessons(subject.found),
    )
    files = _files(found.plan) | codesign_report.contents(found.report)
    return Choice(found.plan, found.report, files | {points.FILE: _front(found.report)})


def _files(plan: Any) -> dict[str, bytes]:
    """The plan as a file that `compressors.read_plan` reads."""
    return {} if plan is None else {"plan.json": plan.model_dump_json(indent=1).encode() + b"\n"}


def _front(report: codesign_report.CodesignReport) -> bytes:
    """The plans that were measured as points of the page that `hwsim report` writes."""
    measured = (attempt.measured for attempt in report.attempts)
    found = tuple(
        points.Point(
            label=f"plan {number}",
            energy_pj=totals.energy_pj,
            latency_ms=totals.latency_ms,
            accuracy=totals.accuracy,
        )
        for number, totals in enumerate(measured, start=1)
        if totals and totals.energy_pj is not None and totals.latency_ms is not None
    )
    front = points.Front(schema_version=1, points=found)
    return front.model_dump_json(indent=1, exclude_none=True).encode() + b"\n"


def held_out(found: Any, scenario: Scenario) -> tuple[Any, Any]:
    """A data set without the test images that a search judges by, evenly spread, and these.

    Without a search they are all left, and None. Raises InputError where too few would be.
    """
    search, total = scenario.compressed.search, len(found.labels)
    if search is None:
        return found, None
    if search.images + search.confirm >= total:
        key = "confirm" if search.confirm else "images"
        raise InputError(
            f"{scenario.name}: compressed.search.{key} = {getattr(search, key)}: of {total} test "
            "images some must be left to report accuracy on"
        )
    return split(found, search.images + search.confirm)


def judges(judged: Any, trials: int) -> "tuple[Judge, Judge | None]":
    """Who judges trials, by so many images, and who whole plans, by the rest, if any is left."""
    if len(judged.labels) == trials:
        return Judge(judged), None
    confirm, found = split(judged, trials)
    return Judge(found), Judge(confirm)


def split(found: Any, count: int) -> tuple[Any, Any]:
    """A data set without `count` of its test images, evenly spread, and one of these alone."""
    total = len(found.labels)
    taken = {index * total // count for index in range(count)}
    rest = [index for index in range(total) if index not in taken]
    judged = replace(found, images=found.images[sorted(taken)], labels=found.labels[sorted(taken)])
    return replace(found, images=found.images[rest], labels=found.labels[rest]), judged


def lessons(found: Any) -> dict[str, Any]:
    """What methods may learn from, of a data set's record: without training images those to
    calibrate on, with their labels where these are known."""
    library = compressors_library()
    calibration = library.Data(images=found.calibration, labels=found.calibration_labels)
    if found.training is None:
        return {"data": calibration, "calibration": calibration}
    training = library.Data(images=found.training, labels=found.training_labels)
    return {"data": training, "calibration": calibration}


@dataclass(frozen=True, eq=False)
class Judge:
    """Which images of a data set a network tells right."""

    found: Any

    def __call__(self, module: "nn.Module") -> "Tensor":
        from hwsim.accuracy import told_right

        return told_right(module, self.found.images, self.found.labels)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of images and labels: with others, trials are to be made anew."""
        parts = (self.found.images, self.found.labels)
        return sha256(b"".join(part.contiguous().numpy().tobytes() for part in parts)).hexdigest()


def trials_file() -> Path | None:
    """Where trials are kept; None where nothing is."""
    folder = current().folder
    return folder and folder / TRIALS
