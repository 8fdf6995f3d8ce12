"""The plan of a scenario's compressed side: as its file says it, or as a search chooses it."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwsim.errors import InputError
from hwsim.mapping_cache import current
from hwsim.scenario_file import Scenario, compressors_library, plan_of, planner_library, sought

if TYPE_CHECKING:
    from torch import nn

    from hwsim.experiment import Subject

TRIALS = "trials.sqlite"


@dataclass(frozen=True)
class Choice:
    """A plan, and the files that say how it was found."""

    plan: Any
    files: dict[str, bytes] = field(default_factory=dict)


def chosen(subject: "Subject", scenario: Scenario) -> Choice:
    """The plan that the scenario names, or that its search finds.

    Whatever the search simulated or measured is kept where mappings are, so that a later one goes
    on from there. Raises InputError.
    """
    wanted = scenario.compressed
    if wanted.search is None:
        plan = plan_of(wanted, file=scenario.name)
        return Choice(plan, {"plan.json": plan.model_dump_json(indent=1).encode() + b"\n"})
    budget, candidates = sought(wanted.search, file=scenario.name)
    found = planner_library().search(
        subject.module,
        wanted.machine,
        _judge(subject),
        budget,
        candidates,
        network=subject.network,
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
    return Choice(found.plan, planner_library().contents(found))


def held_out(found: Any, scenario: Scenario) -> tuple[Any, Any]:
    """A data set without the test images that a search judges by, evenly spread, and these.

    Without a search they are all left, and None. Raises InputError where too few would be.
    """
    search = scenario.compressed.search
    if search is None:
        return found, None
    total = len(found.labels)
    if search.images >= total:
        raise InputError(
            f"{scenario.name}: compressed.search.images = {search.images}: of {total} test images "
            "some must be left to report accuracy on"
        )
    taken = {index * total // search.images for index in range(search.images)}
    rest = [index for index in range(total) if index not in taken]
    judged = replace(found, images=found.images[sorted(taken)], labels=found.labels[sorted(taken)])
    return replace(found, images=found.images[rest], labels=found.labels[rest]), judged


def lessons(found: Any) -> dict[str, Any]:
    """What methods may learn from, of a data set's record."""
    library, training = compressors_library(), None
    if found.training is not None:
        training = library.Data(images=found.training, labels=found.training_labels)
    return {"data": training, "calibration": library.Data(images=found.calibration)}


def _judge(subject: "Subject") -> Any:
    """Top-1 on the images that the search judges by."""
    from hwsim.accuracy import top1

    def judge(module: "nn.Module") -> float:
        return top1(module, subject.judged.images, subject.judged.labels)

    return judge


def trials_file() -> Path | None:
    """Where trials are kept; None where nothing is."""
    folder = current().folder
    return folder and folder / TRIALS
