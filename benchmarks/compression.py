"""Every compression method on trained networks: `python -m benchmarks.compression --help`.

For each network and method, accuracy before, after, and, where a method does not train and loses
more than a quarter of a point, after an epoch of fine-tuning; bits a weight; MACs; simulated energy
and cycles on two machines; and seconds of a processor. Methods run with their default settings, or
those of SETTINGS, on every layer that they take. A result is kept as soon as it is there, in
docs/compression.json, and measured again only where settings changed; docs/compression.md and
compressors/measured.json, which `hwsim methods` shows, are drawn from it.
"""

import copy
import functools
import json
import os
import re
import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from torch import nn

from benchmarks import _compression_page as page
from benchmarks._compression_subjects import SOURCES, Subject, present, subject
from compressors import Plan, compress, uniform, weight_codes
from compressors._fit import Fit, fit
from compressors._layers import weighted_layers
from compressors._lower import lower_to_each
from hwsim import registry
from hwsim.accuracy import one_thread
from hwsim.errors import InputError
from hwsim.hardware import load_machine
from hwsim.networks import load_network
from hwsim.simulate import simulate

RESULTS = Path("docs/compression.json")
MACHINES = ("eyeriss_v1", "zero_skipping")
NONE = "none"  # the network as it is
DENSITY_IMAGES = 64
FINE_TUNING = Fit(epochs=1, learning_rate=0.005)
LOSS = 0.25  # points, from which on a network is fine-tuned
PLAIN = ("fixed_point", "shiftcnn", "uniform_fixed_point", "tensorrt_int8_kl")
# Of which the literature promises the most: they learn from as many images as there is time for.
EXPECTED = ("magnitude_pruning", "deep_compression", "l1_filter_pruning")
# Pruners of whole channels keep so many that some 30 % of the MACs go.
CHANNELS = (
    *("channel_pruning_lasso", "data_free_neuron_pruning", "entropy_pruning", "l1_filter_pruning"),
    *("lda_pruning", "oracle_pruning", "taylor_pruning", "thinet"),
)
# Deep Compression comes to a 20th, rather than to the least that digits allow; blocks of 64 x 64
# are for layers of 1024 x 1024.
SETTINGS: dict[str, dict[str, Any]] = {name: {"keep": 0.84} for name in CHANNELS} | {
    "coarse_grain_sparsification": {"block": (16, 16)},
    "deep_compression": {"linear_keep": 0.16, "rounds": 3},
}
# Methods whose papers keep the first and the last layer as they are.
ENDS_KEPT = ("dorefa_net", "horq_net", "trained_ternary_quantization", "xnor_net")
# Methods whose papers change the last layer alone.
END_ONLY = ("hashnet_continuation",)
Result = dict[str, Any]


class OverTimeError(Exception):
    """A row took longer than it may."""


def settings_of(method: str) -> dict[str, Any]:
    """All settings that a method runs with here, but for seeds."""
    if method == NONE:
        return {}
    config = registry.module("compressor", method).Config(**SETTINGS.get(method, {}))
    found: dict[str, Any] = config.model_dump(mode="json")
    return found


def trains(method: str) -> bool:
    """Whether a method trains the network as a part of it."""
    config = registry.module("compressor", method).Config()
    fits = [getattr(config, key) for key in type(config).model_fields]
    return any(isinstance(one, Fit) and one.epochs > 0 for one in fits)


def seeded(settings: Any, seed: int) -> Any:
    """The settings with every seed in them replaced."""
    if not isinstance(settings, dict):
        return settings
    return {k: seed if k == "seed" else seeded(value, seed) for k, value in settings.items()}


def plan_for(method: str, model: nn.Module, seed: int, keep: list[str]) -> Plan:
    """The method on all layers that it takes but for those to `keep`, its random choices seeded."""
    file = registry.module("compressor", method)
    layers = weighted_layers(model)
    takes = [path for path, layer in layers.items() if isinstance(layer, file.TAKES)]
    left = [path for path in layers if path not in takes or path in (*keep, *ends(layers, method))]
    if len(left) == len(layers):
        raise InputError(f"{method}: takes no layer of this network")
    return uniform((method, seeded(settings_of(method), seed)), keep=left)


def ends(layers: Iterable[str], method: str) -> list[str]:
    """The layers that a method's paper leaves as they are."""
    paths = list(layers)
    if method in END_ONLY:
        return paths[:-1]
    return paths[:: max(1, len(paths) - 1)] if method in ENDS_KEPT else []


def compressed(found: Subject, method: str, seed: int) -> tuple[nn.Module, list[str]]:
    """The network, and the layers that the method refused and that were left as they are."""
    kept: list[str] = []
    while True:
        plan = plan_for(method, found.model, seed, kept)
        try:
            model = compress(found.model, plan, data=found.training, calibration=found.calibration)
            return model, kept
        except InputError as refusal:
            named = re.search(r"layer '([^']+)'", str(refusal))
            if named is None or named[1] in kept:
                raise
            kept.append(named[1])


def measure(found: Subject, method: str, seed: int) -> Result:
    """One row."""
    start = time.process_time()
    model, kept = (found.model, []) if method == NONE else compressed(found, method, seed)
    seconds = time.process_time() - start
    after = found.accuracy(model)
    lost = method == NONE or (after < found.before - LOSS and not trains(method))
    return {
        "kept": kept,
        "before": found.before,
        "after": after,
        "tuned": tuned(found, model, method, seed) if lost and found.tunes else None,
        "seconds": seconds,
        **size(model),
        **simulated(found, model),
    }


def tuned(found: Subject, model: nn.Module, method: str, seed: int) -> float | None:
    """Accuracy after an epoch of fine-tuning; None where nothing trains.

    At the rate of the method's own training where it has one.
    """
    trained = copy.deepcopy(model)
    labels = found.training.labels
    if not any(one.requires_grad for one in trained.parameters()) or labels is None:
        return None
    own = None if method == NONE else registry.module("compressor", method).Config()
    rate = (getattr(own, "fit", None) or FINE_TUNING).learning_rate
    settings = FINE_TUNING.model_copy(update={"seed": seed, "learning_rate": rate})
    fit(trained, found.training.images, labels, settings)
    return found.accuracy(trained)


def size(model: nn.Module) -> Result:
    """Bits of all weights, and how many there are."""
    found = weight_codes(model).values()
    words = sum(code.decode().numel() for code in found)
    return {"weights": words, "bits": sum(code.bits() for code in found)}


def simulated(found: Subject, model: nn.Module) -> Result:
    """MACs, and energy in uJ and cycles by machine, of words as wide as its MACs take them.

    None for a machine that cannot run the network, such as one whose MACs are too narrow for it.
    """
    plain, images = network_named(found.name), found.testing.images[:DENSITY_IMAGES]
    machines = {name: load_machine(name) for name in MACHINES}
    widths = [machine.mac.ifmap_bits for machine in machines.values()]
    networks = lower_to_each(plain, model, images, widths)
    result: Result = {}
    for (name, machine), network in zip(machines.items(), networks, strict=True):
        result["macs"] = sum(layer.macs for layer in network)
        try:
            run = simulate(network, machine)
            result[name] = {"energy_uj": run.energy_pj / 1e6, "cycles": run.cycles}
        except InputError:
            result[name] = None
    return result


network_named = functools.cache(load_network)
Key = tuple[str, str, int]


def wanted(methods: list[str], networks: list[str]) -> list[Key]:
    """Every row, what tells most for its time first."""
    return sorted(rows(methods, networks), key=urgency)


def rows(methods: list[str], networks: list[str]) -> Iterator[Key]:
    """Every row: several seeds where a network is trained on several and the method draws."""
    for network in networks:
        source = SOURCES[network]
        yield network, NONE, 0
        for method in methods:
            if source.trained or not trains(method):
                drawn = trains(method) or method in EXPECTED or "seed" in settings_of(method)
                for seed in range(source.seeds if drawn else 1):
                    yield network, method, seed


def urgency(key: Key) -> tuple[int, int, int]:
    """Networks as they are and the plainest quantisers everywhere; what the literature promises;
    all methods once on networks that they may train; what else is quick; further seeds, those of
    the cheapest networks first; last, what trains large networks.
    """
    network, method, seed = key
    source = SOURCES[network]
    if method == NONE or method in PLAIN:
        return int(method != NONE), seed, 0
    if method in EXPECTED and not seed:
        return 2, 0, 0
    if source.trained:
        return (5 if seed else 3), [*SOURCES].index(network) if seed else 0, seed
    return (6 if trains(method) else 4), seed, 0


@contextmanager
def capped(seconds: int) -> Iterator[None]:
    """Raises OverTimeError in a block that takes more of a processor."""

    def stop(*_: object) -> None:
        raise OverTimeError

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def outcome(found: Subject, method: str, seed: int) -> Result:
    """What was measured, or under `refused` why nothing was."""
    cap_s = SOURCES[found.name].cap_s
    try:
        with one_thread(), capped(cap_s):
            return measure(found, method, seed)
    except InputError as refusal:
        return {"refused": str(refusal)}
    except OverTimeError:
        return {"refused": f"takes longer than {cap_s} s"}


def told(key: Key, row: Result) -> str:
    """A line on a row."""
    name = "{} {} {}".format(*key)
    if "refused" in row:
        return f"{name}: {row['refused']}"
    after = "" if row["tuned"] is None else f", tuned {row['tuned']:.2f} %"
    return f"{name}: {row['before']:.2f} -> {row['after']:.2f} %{after}"


def main(
    networks: Annotated[list[str] | None, typer.Option("--network")] = None,
    methods: Annotated[list[str] | None, typer.Option("--method")] = None,
) -> None:
    """Measures what is not measured yet, and draws the tables."""
    known = current()
    found = functools.lru_cache(maxsize=1)(subject)
    for key in wanted(methods or registry.names("compressor"), networks or present()):
        if key in known:
            continue
        network, method, seed = key
        source = SOURCES[network]
        images = source.all_trains if method in EXPECTED else source.trains
        row = outcome(found(network, images), method, seed)
        typer.echo(told(key, row))
        head = {"network": network, "method": method, "seed": seed}
        known[key] = head | {"tests": source.tests, "trains": images} | row
        known[key]["settings"] = settings_of(method)
        write(list(known.values()))
    write(list(known.values()))


def current() -> dict[Key, Result]:
    """The results that are there, of the settings that methods have now."""
    found = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    return {
        (row["network"], row["method"], row["seed"]): row
        for row in found
        if row["method"] == NONE or row["settings"] == settings_of(row["method"])
    }


def write(found: list[Result]) -> None:
    """Replaces the results whole, and draws what is drawn from them."""
    part = RESULTS.with_suffix(".part")
    part.write_text(json.dumps(found, indent=1) + "\n")
    os.replace(part, RESULTS)
    page.draw(found, list(SOURCES), registry.names("compressor"))


if __name__ == "__main__":
    torch.use_deterministic_algorithms(True)
    typer.run(main)
