"""The best mapping of a layer among those that its machine's dataflow offers."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from heapq import nsmallest
from math import inf
from time import perf_counter
from typing import cast

from hwsim.constraints import FREE, Constraints, admits
from hwsim.cost import Cost, cost
from hwsim.dataflows._spread import serial
from hwsim.errors import InputError, MappingError
from hwsim.found import Found, Question, judged
from hwsim.hardware import Accelerator
from hwsim.mapping import Mapping, overflow
from hwsim.objective import Objective, undominated, value
from hwsim.registry import hook, module
from hwsim.skipping import balanced_cycles
from hwsim.workload import DIMS, Layer

# How many mappings are costed with the waiting of lanes for each other, which takes long to count.
# On AlexNet's CONV2 and CONV3, VGG-16's CONV4-2 and five small layers, at densities of 0.7, 0.4 and
# 0.1, 8 of some 150 held the best in all but one, where they missed it by 6 %.
CANDIDATES = 8

Costed = tuple[Mapping, Cost]


def within_dataflow(question: Question) -> Found:
    """The best of the mappings that the dataflow offers, the machine's or that of the constraints;
    among equals the first.

    On a machine that skips zeros it is the best of a few, see CANDIDATES. Of all other mappings no
    more is known than `hwsim.compulsory` says. Raises MappingError where there is none, InputError.
    """
    start, space = perf_counter(), _Space(question)
    most = question.max_cycles or inf

    def rank(found: Costed) -> tuple[float, ...]:
        return max(found[1].cycles - most, 0), _value(question.objective, found[1])

    best = min(space.costed(lambda quick: nsmallest(CANDIDATES, quick, key=rank)), key=rank)
    if best[1].cycles > most:
        raise MappingError(
            f"layer {question.layer.name!r} takes {best[1].cycles} cycles on "
            f"{question.machine.name}, more than max_cycles = {question.max_cycles}"
        )
    return space.found(best, seconds=perf_counter() - start)


def front_within_dataflow(
    layer: Layer, machine: Accelerator, *, constraints: Constraints = FREE
) -> tuple[Found, ...]:
    """Of the same mappings those that no other matches or beats in energy and cycles, fastest
    first; each as the one of least energy among those as fast. Raises MappingError, InputError."""
    start = perf_counter()
    asked = Question(
        layer=layer, machine=machine, objective="energy", constraints=constraints, effort=0
    )
    space = _Space(asked)

    def rank(found: Costed) -> tuple[float, ...]:
        return found[1].cycles, found[1].energy_pj

    best = undominated(space.costed(lambda quick: undominated(quick, rank)), rank)
    seconds = perf_counter() - start
    return tuple(space.found(each, seconds=seconds) for each in best)


class _Space:
    """The mappings of a question that its dataflow offers and its constraints admit."""

    def __init__(self, question: Question) -> None:
        self.question, self.machine = question, question.machine
        self.layer = accumulated(question.layer, question.machine)
        self.looked = 0
        check_operands(self.layer, self.machine)

    def costed(self, promising: Callable[[Iterable[Costed]], Iterable[Costed]]) -> list[Costed]:
        """Every mapping and its cost; where lanes wait for each other, which takes long to count,
        only the `promising` ones of those as they were if zeros fell evenly on all lanes. Raises
        MappingError where there is none."""
        layer, machine, mappings = self.layer, self.machine, self._admitted()
        if layer.weighted and machine.mac.zero_skipping:
            quick = ((m, cost(layer, m, machine, arithmetic=balanced_cycles)) for m in mappings)
            mappings = (mapping for mapping, _ in promising(quick))
        found = [(mapping, cost(layer, mapping, machine)) for mapping in mappings]
        if not found:
            raise MappingError(self._obstacle())
        return found

    def found(self, best: Costed, *, seconds: float) -> Found:
        """One of them as an answer."""
        asked = self.layer, self.machine, self.question.objective
        return judged(*asked, best, evaluated=self.looked, seconds=seconds, space="dataflow")

    @property
    def _dataflow(self) -> str:
        wanted = self.question.constraints.dataflow or self.machine.dataflow
        return wanted if self.layer.weighted else "streaming"

    def _admitted(self) -> Iterator[Mapping]:
        offered = hook(module("dataflow", self._dataflow), "mappings")
        constraints = self.question.constraints
        for mapping in cast(Iterable[Mapping], offered(self.layer, self.machine)):
            self.looked += 1
            if admits(constraints, mapping, self.layer, self.machine):
                yield mapping

    def _obstacle(self) -> str:
        """The constraints, or which memory is too small for a single word, or that the dataflow
        asks for more than that."""
        layer, machine = self.layer, self.machine
        if self.looked:
            return (
                f"layer {layer.name!r}: the constraints exclude every {self._dataflow} mapping on "
                f"{machine.name}"
            )
        excess = overflow(serial(layer, machine, "".join(DIMS)), layer, machine)
        return (
            f"layer {layer.name!r} fits no {self._dataflow} mapping on {machine.name}: "
            f"{excess or 'the smallest tiles that it allows exceed a buffer or a pad'}"
        )


def _value(objective: Objective, found: Cost) -> float:
    return value(objective, found.energy_pj, found.cycles)


def accumulated(layer: Layer, machine: Accelerator) -> Layer:
    """The layer with psums no wider than the machine's adders: wider sums are truncated, as the
    Eyeriss chip truncates products of 32 bits to 16 (JSSC 2017)."""
    bits = min(layer.psum.bits, machine.mac.psum_bits)
    return replace(layer, psum=replace(layer.psum, bits=bits))


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
