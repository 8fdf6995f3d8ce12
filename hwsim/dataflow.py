"""The best mapping of a layer among those that its machine's dataflow offers."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from heapq import nsmallest
from itertools import count
from time import perf_counter
from typing import cast

from hwsim.cost import Cost, cost
from hwsim.dataflows._spread import serial
from hwsim.errors import InputError, MappingError
from hwsim.found import Found, Objective, Question
from hwsim.hardware import Accelerator
from hwsim.mapping import Mapping, overflow
from hwsim.registry import hook, module
from hwsim.skipping import balanced_cycles
from hwsim.workload import DIMS, Layer

# How many mappings are costed with the waiting of lanes for each other, which takes long to count.
# On AlexNet's CONV2 and CONV3, VGG-16's CONV4-2 and five small layers, at densities of 0.7, 0.4 and
# 0.1, 8 of some 150 held the best in all but one, where they missed it by 6 %.
CANDIDATES = 8

OBJECTIVES: dict[Objective, Callable[[Cost], float]] = {
    "energy": lambda found: found.energy_pj,
    "cycles": lambda found: found.cycles,
    "edp": lambda found: found.energy_pj * found.cycles,
}


def best_mapping(
    layer: Layer, machine: Accelerator, *, objective: Objective = "edp"
) -> tuple[Mapping, Cost]:
    """The mapping of least energy, cycles or energy-delay product and its cost; among equals the
    dataflow's first. Raises MappingError, InputError.

    On a machine that skips zeros it is the best of a few, see CANDIDATES.
    """
    found = within_dataflow(Question(layer=layer, machine=machine, objective=objective))
    return found.mapping, found.cost


def within_dataflow(question: Question) -> Found:
    """The best of the mappings that the machine's dataflow offers, see `best_mapping`.

    Of all other mappings it knows nothing but that their bound is above 0.
    """
    start, machine = perf_counter(), question.machine
    layer = accumulated(question.layer, machine)
    check_operands(layer, machine)

    def value(found: tuple[Mapping, Cost]) -> float:
        return OBJECTIVES[question.objective](found[1])

    looked = count()
    mappings: Iterator[Mapping] = (
        each for each, _ in zip(_mappings(layer, machine), looked, strict=False)
    )
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
    return Found(
        mapping=best[0],
        cost=best[1],
        objective=question.objective,
        value=value(best),
        lower_bound=0.0,
        evaluated=next(looked),
        seconds=perf_counter() - start,
    )


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
