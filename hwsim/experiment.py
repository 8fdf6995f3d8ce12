"""The run of a scenario: one network before and after compression, in joules and accuracy.

`hwsim.scenario_file` reads and checks it; `run` measures top-1 on real images, compresses,
simulates both sides and writes the report. torch is loaded only once a run starts.
"""

from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwsim import registry
from hwsim.errors import InputError
from hwsim.hardware import Accelerator, load_machine
from hwsim.networks import load_network
from hwsim.planning import Choice, chosen, held_out, lessons
from hwsim.progress import Progress, quiet
from hwsim.reach import prelude
from hwsim.residence import keep_on_chip
from hwsim.scenario_file import (
    Scenario,
    compressors_library,
    plan_of,
    weights_library,
    weights_path,
)
from hwsim.scenario_sides import Baseline
from hwsim.simulate import Objective, simulate

if TYPE_CHECKING:
    from torch import nn

    from hwsim.report import Report
    from hwsim.side import Side
    from hwsim.workload import Network

DENSITY_IMAGES = 256


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
        choice = chosen(subject, scenario)
        compressed = _compressed_side(subject, scenario, choice)
    found = compare(
        baseline,
        compressed,
        scenario=scenario.name,
        description=scenario.description,
        seed=scenario.seed,
        images=len(subject.found.labels),
        search=choice.report,
    )
    progress("drawing and writing the results")
    write(found, out, plots=scenario.plots, beside=choice.files)
    return found


def networks(
    scenario: Scenario, *, progress: Progress = quiet
) -> "dict[str, tuple[Network, float]]":
    """By label, each side's layers, zeros and widths included, and its top-1. Raises InputError."""
    from torch import random

    from hwsim.accuracy import one_thread

    with random.fork_rng(devices=[]), one_thread():
        random.manual_seed(scenario.seed)
        subject = _subject(scenario, progress, workers=None, keep_on_chip=False)
        choice = chosen(subject, scenario)
        return {
            scenario.baseline.label: _baseline_network(subject, scenario.baseline),
            scenario.compressed.label: _compressed_network(subject, scenario, choice),
        }


@dataclass(frozen=True)
class Subject:
    """What both sides start from: a trained network, its layers, and images.

    Images are float32 N x C x H x W, labels int64 N; `found`, the data set's own record, holds them
    and what methods learn from. `judged`: the images and labels that a search judges by, if any,
    none of which is in `found`.
    """

    network: "Network"
    module: "nn.Module"
    found: Any  # the data set's record
    judged: Any
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
    weights_library().load_weights(module, weights_path(scenario))
    module = convert_conv2d_weight_memory_format(module, channels_last)
    network = load_network(scenario.network, batch=scenario.batch)
    progress(f"loading data set {scenario.dataset.name}")
    found = registry.module("data set", scenario.dataset.name).load(**scenario.dataset.arguments())
    found, judged = held_out(found, scenario)
    if scenario.compressed.search is None:
        plan = plan_of(scenario.compressed, file=scenario.name)
        compressors_library().check(module, plan, **lessons(found))
    return Subject(
        network=network,
        module=module,
        found=found,
        judged=judged,
        objective=scenario.objective,
        effort=scenario.effort,
        workers=workers,
        keep_on_chip=keep_on_chip,
        progress=progress,
    )


def _baseline_side(subject: Subject, wanted: Baseline) -> "Side":
    network, top1 = _baseline_network(subject, wanted)
    machine = load_machine(wanted.machine)
    return _simulated(subject, network, machine, label=wanted.label, top1=top1)


def _baseline_network(subject: Subject, wanted: Baseline) -> "tuple[Network, float]":
    """The network as it was trained, its tensors counted at one width, and its top-1."""
    from hwsim.frontends.torch import with_densities

    bits = wanted.bits
    layers = {
        layer.name: layer.at_bits(ifmap=bits, weight=bits, ofmap=bits, psum=2 * bits)
        for layer in subject.network
    }
    top1 = _top1(subject, subject.module, wanted.label)
    network = subject.network.with_layers(layers)
    images = subject.found.images[:DENSITY_IMAGES]
    return with_densities(network, subject.module, images), top1


def _compressed_side(subject: Subject, scenario: Scenario, choice: Choice) -> "Side":
    network, top1 = _compressed_network(subject, scenario, choice)
    machine = load_machine(scenario.compressed.machine)
    return _simulated(subject, network, machine, label=scenario.compressed.label, top1=top1)


def _compressed_network(
    subject: Subject, scenario: Scenario, choice: Choice
) -> "tuple[Network, float]":
    """The network as its plan left it, and its top-1; words that the plan did not narrow take the
    baseline's."""
    library, wanted, bits = compressors_library(), scenario.compressed, scenario.baseline.bits
    label = wanted.label

    def tell(stage: str, done: int = 0, total: int = 0) -> None:
        subject.progress(f"{label}: {stage}", done, total)

    given = lessons(subject.found)
    module: nn.Module = subject.module
    if choice.plan is not None:
        module = library.compress(module, choice.plan, progress=tell, **given)
    if wanted.tune is not None:
        library.tune_(module, library.Fit(**wanted.tune), given["data"], progress=tell)
    top1 = _top1(subject, library.frozen(module), label)
    images = subject.found.images[:DENSITY_IMAGES]
    network: Network = library.lower(subject.network, module, images, bits=bits)
    return network, top1


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
    from hwsim.side import kept_of, side_of

    stage = f"{label}: simulating {machine.name}{prelude() if subject.effort else ''}"
    done, total = count(1), len(network.layers)
    subject.progress(stage, 0, total)

    def tell(_: str) -> None:
        subject.progress(stage, next(done), total)

    goal = subject.objective
    if subject.keep_on_chip:
        found = keep_on_chip(network, machine, objective=goal, progress=tell)
        return side_of(found.result, label=label, top1=top1, kept=kept_of(found))
    result = simulate(
        network,
        machine,
        objective=goal,
        effort=subject.effort,
        workers=subject.workers,
        progress=tell,
    )
    return side_of(result, label=label, top1=top1)
