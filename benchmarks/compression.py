"""Every compression method on trained networks: `python -m benchmarks.compression --help`.

For each network and method, accuracy before, after, and after an epoch of fine-tuning; bits a
weight; MACs; simulated energy and cycles on two machines; and seconds. Methods run with their
default settings on every layer that they take. A result is kept as soon as it is there, in
docs/compression.json, and never measured twice; docs/compression.md and compressors/measured.json,
which `hwsim methods` shows, are drawn from it.
"""

import copy
import json
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from torch import nn

from benchmarks import _compression_page as page
from compressors import Data, Plan, compress, frozen, lower, uniform, weight_codes
from compressors._fit import Fit, fit
from compressors._layers import weighted_layers
from compressors.weights.shared import Shared
from data import fashion_mnist
from hwsim import registry
from hwsim.accuracy import one_thread, top1
from hwsim.errors import InputError
from hwsim.hardware import load_machine
from hwsim.networks import load_network
from hwsim.simulate import simulate
from models._weights import find_weights, load_weights

RESULTS = Path("docs/compression.json")
NETWORKS = ("lenet_300_100_fashion", "lenet5_fashion", "resnet20_fashion", "mobilenet_v1_fashion")
MACHINES = ("eyeriss_v1", "zero_skipping")
NONE = "none"  # the network as it is
DENSITY_IMAGES = 64
FINE_TUNING = Fit(epochs=1, learning_rate=0.005)
TABLE_RATE = 1e-5
Result = dict[str, Any]


@dataclass(frozen=True)
class Subject:
    """A trained network and images."""

    name: str
    model: nn.Module
    testing: Data
    training: Data
    calibration: Data

    def accuracy(self, model: nn.Module) -> float:
        """Top-1 in per cent."""
        labels = self.testing.labels
        assert labels is not None
        return 100 * top1(frozen(model), self.testing.images, labels)


def subject(name: str, *, tests: int, trains: int) -> Subject:
    """A network with `tests` test images, `trains` training images, and its calibration images."""
    file = registry.module("network", name)
    model: nn.Module = file.build()
    path = find_weights(file)
    if path is None:
        raise InputError(f"network {name!r}: has no trained weights here")
    load_weights(model, path)
    found = fashion_mnist.load(limit=tests, training=True)
    assert found.training is not None
    assert found.training_labels is not None
    return Subject(
        name,
        model.eval(),
        Data(images=found.images, labels=found.labels),
        Data(images=found.training, labels=found.training_labels).first(trains),
        Data(images=found.calibration),
    )


def plan_for(method: str, model: nn.Module, seed: int, keep: list[str]) -> Plan:
    """The method on all layers that it takes but for those to `keep`, its random choices seeded."""
    file = registry.module("compressor", method)
    layers = weighted_layers(model)
    takes = [path for path, layer in layers.items() if isinstance(layer, file.TAKES)]
    keys = file.Config.model_fields.keys()
    config: dict[str, Any] = {"seed": seed} if "seed" in keys else {}
    own = getattr(file.Config(), "fit", None)
    if own is not None:
        config["fit"] = own.model_dump() | {"seed": seed}
    left = [path for path in layers if path not in takes or path in keep]
    if len(left) == len(layers):
        raise InputError(f"{method}: takes no layer of this network")
    return uniform((method, config), keep=left)


def compressed(found: Subject, method: str, seed: int) -> tuple[nn.Module, list[str]]:
    """The network, and the layers that the method refused and that were left as they are."""
    kept: list[str] = []
    while True:
        plan = plan_for(method, found.model, seed, kept)
        try:
            model = compress(found.model, plan, data=found.training, calibration=found.calibration)
            return model, kept
        except InputError as refusal:
            named = re.match(r"layer '([^']+)'", str(refusal))
            if named is None or named[1] in kept:
                raise
            kept.append(named[1])


def measure(found: Subject, method: str, seed: int) -> Result:
    """One row."""
    start = time.monotonic()
    model, kept = (found.model, []) if method == NONE else compressed(found, method, seed)
    seconds = time.monotonic() - start
    return {
        "network": found.name,
        "method": method,
        "seed": seed,
        "kept": kept,
        "before": found.accuracy(found.model),
        "after": found.accuracy(model),
        "tuned": tuned(found, model, method, seed),
        "seconds": seconds,
        **size(model),
        **simulated(found, model),
    }


def tuned(found: Subject, model: nn.Module, method: str, seed: int) -> float | None:
    """Accuracy after an epoch of fine-tuning; None where nothing trains.

    At the rate of the method's own training where it has one; tables, whose gradients are sums over
    many weights, need a lower one.
    """
    trained = copy.deepcopy(model)
    labels = found.training.labels
    if not any(one.requires_grad for one in trained.parameters()) or labels is None:
        return None
    own = None if method == NONE else registry.module("compressor", method).Config()
    rate = (getattr(own, "fit", None) or FINE_TUNING).learning_rate
    if any(isinstance(part, Shared) for part in model.modules()):
        rate = min(rate, TABLE_RATE)
    settings = FINE_TUNING.model_copy(update={"seed": seed, "learning_rate": rate})
    fit(trained, found.training.images, labels, settings)
    return found.accuracy(trained)


def size(model: nn.Module) -> Result:
    """Bits of all weights, and how many there are."""
    found = weight_codes(model).values()
    words = sum(code.decode().numel() for code in found)
    return {"weights": words, "bits": sum(code.bits() for code in found)}


def simulated(found: Subject, model: nn.Module) -> Result:
    """MACs, and energy in uJ and cycles by machine, of words as wide as its MACs take them."""
    plain, images = load_network(found.name), found.testing.images[:DENSITY_IMAGES]
    result: Result = {}
    for name in MACHINES:
        machine = load_machine(name)
        network = lower(plain, model, images, bits=machine.mac.ifmap_bits)
        run = simulate(network, machine)
        result["macs"] = sum(layer.macs for layer in network)
        result[name] = {"energy_uj": run.energy_pj / 1e6, "cycles": run.cycles}
    return result


def wanted(methods: list[str], networks: list[str], seeds: int) -> Iterator[tuple[str, str, int]]:
    """Every row asked for: training has several seeds, where it has random choices."""
    for network in networks:
        yield network, NONE, 0
        for method in methods:
            keys = registry.module("compressor", method).Config.model_fields.keys()
            for seed in range(seeds if keys & {"seed", "fit"} else 1):
                yield network, method, seed


def main(
    networks: Annotated[list[str] | None, typer.Option("--network")] = None,
    methods: Annotated[list[str] | None, typer.Option("--method")] = None,
    seeds: int = 3,
    tests: int = 10_000,
    trains: int = 12_000,
) -> None:
    """Measures what is not measured yet, and draws the table."""
    rows = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    known = {(row["network"], row["method"], row["seed"]) for row in rows}
    subjects: dict[str, Subject] = {}
    every = methods or registry.names("compressor")
    for network, method, seed in wanted(every, networks or list(NETWORKS), seeds):
        if (network, method, seed) in known:
            continue
        if network not in subjects:
            subjects[network] = subject(network, tests=tests, trains=trains)
        with one_thread():
            try:
                row = measure(subjects[network], method, seed)
            except InputError as refusal:
                typer.echo(f"{network} {method}: {refusal}", err=True)
                continue
        typer.echo(f"{network} {method} {seed}: {row['before']:.2f} -> {row['after']:.2f} %")
        rows.append(row | {"tests": tests, "trains": trains})
        write(rows)
    page.draw(rows)


def write(rows: list[Result]) -> None:
    """Replaces the results whole."""
    part = RESULTS.with_suffix(".part")
    part.write_text(json.dumps(rows, indent=1) + "\n")
    os.replace(part, RESULTS)


if __name__ == "__main__":
    torch.use_deterministic_algorithms(True)
    typer.run(main)
