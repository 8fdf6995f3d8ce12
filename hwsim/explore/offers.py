"""What a dataflow offers a layer, for all machines that differ in prices and widths alone.

The mappings of a shape (`hwsim.explore.shape`) are listed and counted once, and judging them on the
next machine of that shape is a sum and a walk of the compiled `hwsim.search.clock`. The answer is
that of `hwsim.dataflow.within_dataflow`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from hwsim._compiled import compiled
from hwsim.explore.terms import Known, memory_count
from hwsim.hardware import Accelerator
from hwsim.mapping import Mapping
from hwsim.registry import hook, module
from hwsim.search.clock import (
    COLLECTED,
    DELIVERED,
    READS,
    WRITES,
    Floats,
    Ints,
    Records,
    Timing,
    cycles,
    whole,
)
from hwsim.search.words import (
    ABOVE,
    BELOW,
    CHILD,
    EACH,
    FIRST,
    PARENT,
    TENSOR,
    Words,
    count,
)
from hwsim.skipping import mac_cycles
from hwsim.technology import array_noc_pj_per_bit, memory_pj_per_bit
from hwsim.workload import TENSORS, Layer


@dataclass(frozen=True, kw_only=True)
class Offers:
    """A layer's mappings on a shape.

    `bits` [mapping, priced] that each moves through what has a price, see `Priced`; `words` of
    their links; `compute` [mapping] cycles of arithmetic; `timing` of ports one bit wide, and
    `inward`, `outward` [load]: which of a machine's widths a load goes by.
    """

    bits: Floats
    words: Words
    compute: Floats
    timing: Timing
    inward: Ints
    outward: Ints


@dataclass(frozen=True)
class Priced:
    """What bits cost and how fast they pass, on one machine, in one order for all of a shape.

    `pj` and `components`: reads and writes of each memory, then each array's wires; `widths`: of
    the same reads and writes, then of each array's buses by tensor, infinite where there is none.
    """

    pj: Floats
    components: tuple[str, ...]
    widths: Floats
    skew: float


def priced(machine: Accelerator) -> Priced:
    """A machine's prices and widths. Raises InputError on an impossible supply."""
    pj: list[float] = []
    components: list[str] = []
    widths: list[float | None] = []
    for level in machine.levels:
        for memory in level.memories:
            pj += memory_pj_per_bit(memory, machine.technology)
            components += [level.component] * 2
            widths += [memory.read_bits_per_cycle, memory.write_bits_per_cycle]
    for array in machine.arrays:
        pj.append(array_noc_pj_per_bit(array, machine.technology))
        components.append("NoC")
        widths += [array.bus_bits_per_cycle.get(tensor) for tensor in TENSORS]
    skew = float(sum(array.skew_cycles for array in machine.arrays))
    wide = np.array([width or np.inf for width in widths])
    return Priced(np.array(pj), tuple(components), wide, skew)


def offers(layer: Layer, machine: Accelerator, known: Known) -> Offers | None:
    """The mappings of a layer that a machine's dataflow offers; None where there are none."""
    mappings = list(offered(layer, machine))
    if not mappings:
        return None
    terms = known.terms(layer, machine)
    words = count(terms.ground, terms.timing.links, mappings, machine)
    priced = 2 * memory_count(machine) + len(machine.arrays)
    return Offers(
        bits=bits_moved(words.begin, words.links, words.words, terms.drawn, terms.wires, priced),
        words=words,
        compute=_compute(layer, machine, words),
        timing=terms.timing,
        inward=terms.inward,
        outward=terms.outward,
    )


def offered(layer: Layer, machine: Accelerator) -> Iterator[Mapping]:
    """The mappings that a machine's dataflow allows a layer, in the order of `Offers`."""
    dataflow = machine.dataflow if layer.weighted else "streaming"
    return cast(Iterator[Mapping], hook(module("dataflow", dataflow), "mappings")(layer, machine))


def _compute(layer: Layer, machine: Accelerator, words: Words) -> Floats:
    """Cycles of arithmetic of each mapping, as `hwsim.skipping.compute_cycles` has them."""
    each = mac_cycles(layer, machine.mac)
    products = -(-words.steps[:, 1] * each.numerator // each.denominator)
    return (words.steps[:, 0] * products).astype(float)


def cheapest(
    found: Offers, prices: Priced, *, fixed_pj: float, cycle_pj: float, powers: tuple[int, int]
) -> tuple[int, int]:
    """The mapping of least energy to the one power times cycles to the other, and its cycles.

    `fixed_pj` is what every mapping costs, `cycle_pj` what a cycle does.
    """
    loads = found.timing.loads.copy()
    loads["inward"] /= prices.widths[found.inward]
    for column in ("outward", "last", "finished"):
        loads[column] /= prices.widths[found.outward]
    at_width = found.timing._replace(loads=loads, skew=prices.skew)
    energy = found.bits @ prices.pj + fixed_pj
    pick, taken = least_of(
        at_width, found.words, found.compute, energy, cycle_pj, float(powers[0]), float(powers[1])
    )
    return int(pick), int(taken)


@compiled()
def least_of(
    t: Timing,
    found: Words,
    compute: Floats,
    energy: Floats,
    cycle_pj: float,
    of_energy: float,
    of_cycles: float,
) -> Any:
    least, pick, taken = np.inf, 0, 0.0
    for at in range(compute.size):
        own = slice(found.begin[at], found.begin[at + 1])
        spent = whole(
            cycles(
                t,
                found.begin[at + 1] - found.begin[at],
                found.links[TENSOR, own],
                found.links[PARENT, own],
                found.links[CHILD, own],
                found.words[own],
                found.tiles[FIRST, own],
                found.tiles[EACH, own],
                found.links[ABOVE, own],
                found.links[BELOW, own],
                found.starts[at],
                compute[at],
            )
        )
        value = (energy[at] + spent * cycle_pj) ** of_energy * spent**of_cycles
        if value < least:
            least, pick, taken = value, at, spent
    return pick, taken


@compiled()
def bits_moved(
    begin: Ints, links: Ints, words: Floats, drawn: Records, wires: Floats, priced: int
) -> Any:
    """Bits of mappings through all that has a price, as `hwsim.cost.transfer_pj` charges them."""
    found = np.zeros((begin.size - 1, priced))
    for m in range(begin.size - 1):
        own = found[m]
        for link in range(begin[m], begin[m + 1]):
            place = links[TENSOR, link], links[PARENT, link], links[CHILD, link]
            each, moved = drawn[place], words[link]
            unfinished = moved[WRITES] - each.finished
            written = each.finished * each.word + unfinished * each.psum
            own[2 * each.parent] += each.busy * (moved[READS] * each.psum)
            own[2 * each.parent + 1] += each.busy * written
            if links[CHILD, link] < drawn.shape[2] - 1:
                own[2 * each.child] += moved[COLLECTED] * each.inner
                own[2 * each.child + 1] += moved[DELIVERED] * each.inner
            passed = moved[DELIVERED] + moved[COLLECTED] - moved[WRITES]
            for array in range(wires.shape[3]):
                own[priced - wires.shape[3] + array] += passed * wires[place][array]
    return found
