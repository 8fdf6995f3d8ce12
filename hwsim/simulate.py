"""Runs a network on a machine: each layer under the best mapping its dataflow allows."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from heapq import nsmallest
from typing import Literal, cast

from hwsim.cost import Cost, cost, fused_cost
from hwsim.dataflows._spread import serial
from hwsim.errors import InputError, MappingError
from hwsim.hardware import Accelerator
from hwsim.mapping import Mapping, overflow
from hwsim.registry import hook, module
from hwsim.skipping import balanced_cycles
from hwsim.workload import DIMS, Layer, Network

# How many mappings are costed with the waiting of lanes for each other, which takes long to count.
# On AlexNet's CONV2 and CONV3, VGG-16's CONV4-2 and five small layers, at densities of 0.7, 0.4 and
# 0.1, 8 of some 150 held the best in all but one, where they missed it by 6 %.
CANDIDATES = 8

Objective = Literal["energy", "cycles", "edp"]

OBJECTIVES: dict[Objective, Callable[[Cost], float]] = {
    "energy": lambda found: found.energy_pj,
    "cycles": lambda found: found.cycles,
    "edp": lambda found: found.energy_pj * found.cycles,
}


@dataclass(frozen=True, kw_only=True)
class LayerResult:
    """A simulated layer; one that is fused into its producer has no mapping of its own."""

    layer: Layer
    mapping: Mapping | None
    cost: Cost
    fused_into: str | None = None


@dataclass(frozen=True, kw_only=True)
class NetworkResult:
    """A simulated network, layers in order of execution."""

    network: Network
    machine: Accelerator
    layers: tuple[LayerResult, ...]


def simulate(
    network: Network,
    machine: Accelerator,
    *,
    objective: Objective = "edp",
    progress: Callable[[str], None] | None = None,
) -> NetworkResult:
    """Every layer's cost, one after the other; `progress` is told each name. Equal layers are
    mapped once.

    Raises MappingError for a layer that fits no mapping, InputError for one wider than the MACs.
    """
    known: dict[Layer, tuple[Mapping, Cost]] = {}
    results = []
    for layer in network:
        if progress:
            progress(layer.name)
        results.append(_simulate_layer(network, layer, machine, objective, known))
    return NetworkResult(network=network, machine=machine, layers=tuple(results))


def best_mapping(
    layer: Layer, machine: Accelerator, *, objective: Objective = "edp"
) -> tuple[Mapping, Cost]:
    """The mapping of least energy, cycles or energy-delay product and its cost; among equals the
    dataflow's first. Raises MappingError, InputError.

    On a machine that skips zeros it is the best of a few, see CANDIDATES.
    """
    layer = accumulated(layer, machine)
    check_operands(layer, machine)

    def value(found: tuple[Mapping, Cost]) -> float:
        return OBJECTIVES[objective](found[1])

    mappings = _mappings(layer, machine)
    if layer.weighted and machine.mac.zero_skipping:
        mappings = _promising(layer, machine, mappings, value)
    best = min(
        ((found, cost(layer, found, machine)) for found in mappings), key=value, default=None
    )
    if best is None:
        raise MappingError(
            f"layer {layer.name!r} fits no {machine.dataflow} mapping on {machine.name}: "
            f"{_obstacle(layer, machine)}"
        )
    return best


def _promising(
    layer: Layer,
    machine: Accelerator,
    mappings: Iterable[Mapping],
    value: Callable[[tuple[Mapping, Cost]], float],
) -> Iterator[Mapping]:
    """The CANDIDATES that would be best if zeros fell evenly on all lanes."""
    quick = ((m, cost(layer, m, machine, arithmetic=balanced_cycles)) for m in mappings)
    return (mapping for mapping, _ in nsmallest(CANDIDATES, quick, key=value))


def _obstacle(layer: Layer, machine: Accelerator) -> str:
    """Which memory is too small for a single word, or that the dataflow asks for more than that."""
    excess = overflow(serial(layer, machine, "".join(DIMS)), layer, machine)
    return excess or "the smallest tiles that it allows exceed a buffer or a pad"


def accumulated(layer: Layer, machine: Accelerator) -> Layer:
    """The layer with psums no wider than the machine's adders: wider sums are truncated, as the
    Eyeriss chip truncates products of 32 bits to 16 (JSSC 2017)."""
    bits = min(layer.psum.bits, machine.mac.psum_bits)
    return replace(layer, psum=replace(layer.psum, bits=bits))


def fused_into(network: Network, layer: Layer, machine: Accelerator) -> str | None:
    """The producer on whose output a layer rides; None where it moves data of its own."""
    producers = list(network.graph.predecessors(layer.name))
    return producers[0] if layer.op in machine.fused and len(producers) == 1 else None


def _simulate_layer(
    network: Network,
    layer: Layer,
    machine: Accelerator,
    objective: Objective,
    known: dict[Layer, tuple[Mapping, Cost]],
) -> LayerResult:
    layer = accumulated(layer, machine)
    producer = fused_into(network, layer, machine)
    if producer:
        fused = fused_cost(layer, machine)
        return LayerResult(layer=layer, mapping=None, cost=fused, fused_into=producer)
    nameless = replace(layer, name="")
    if nameless not in known:
        known[nameless] = best_mapping(layer, machine, objective=objective)
    mapping, found = known[nameless]
    return LayerResult(layer=layer, mapping=mapping, cost=found)


def _mappings(layer: Layer, machine: Accelerator) -> Iterator[Mapping]:
    name = machine.dataflow if layer.weighted else "streaming"
    mappings = hook(module("dataflow", name), "mappings")
    yield from cast(Iterable[Mapping], mappings(layer, machine))


def check_operands(layer: Layer, machine: Accelerator) -> None:
    """Raises InputError where an operand is wider than the machine's MACs take it."""
    if not layer.weighted:
        return
    widths = {"ifmap": machine.mac.ifmap_bits, "weight": machine.mac.weight_bits}
    for tensor, width in widths.items():
        if layer.tensor(tensor).bits > width:
            raise InputError(
                f"layer {layer.name!r}: {tensor} of {layer.tensor(tensor).bits} bits is wider than "
                f"the {width}-bit MACs of {machine.name}"
            )
