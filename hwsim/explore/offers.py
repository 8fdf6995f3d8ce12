"""What a dataflow offers a layer, for all machines that differ in prices and widths alone.

Which mappings there are, and how many bits each moves, follows from a machine's shape: its levels,
capacities, axes and word widths. Energies, bandwidths, clock and process only weigh those bits. So
the mappings of a shape are listed and counted once, and judging them on the next machine of that
shape is a sum and a walk of the compiled `hwsim.search.clock`. The answer is that of
`hwsim.dataflow.within_dataflow`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import numpy as np
from pydantic import BaseModel

from hwsim._compiled import compiled
from hwsim.cost import _busy_share
from hwsim.hardware import Accelerator, Array, Mac, Memory, MemoryLevel
from hwsim.mapping import Mapping
from hwsim.ports import port_names
from hwsim.registry import hook, module
from hwsim.search import clock
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
    links_shape,
    possible_links,
    timing,
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
    Ground,
    Words,
    count,
    ground,
)
from hwsim.skipping import mac_cycles
from hwsim.technology import array_noc_pj_per_bit, memory_pj_per_bit
from hwsim.workload import TENSORS, Layer

# Fields that decide no mapping and no count: only what counts weigh, or area.
Dropped = dict[type, frozenset[str]]
WEIGHTS: Dropped = {
    Memory: frozenset(
        {
            "bank_bits",
            "read_bits_per_cycle",
            "read_pj_per_bit",
            "source",
            "word_bits",
            "write_bits_per_cycle",
            "write_pj_per_bit",
        }
    ),
    Array: frozenset({"bus_bits_per_cycle", "noc_pj_per_bit"}),
    Mac: frozenset({"multiply_add_pj", "primitive_pj", "source"}),
    Accelerator: frozenset(
        {"clock_mhz", "control", "description", "fused", "name", "source", "technology"}
    ),
}
# And those that decide which mappings there are, but not what one of them moves.
SIZES = WEIGHTS | {
    Memory: WEIGHTS[Memory] | {"capacity_bits", "reserved_bits"},
    Array: WEIGHTS[Array] | {"axes", "skewed"},
    Accelerator: WEIGHTS[Accelerator] | {"dataflow"},
}
# Some 50 kB each.
MOST_TERMS = 1000
# A possible link: the numbers of its memories, its finished words, the share of its parent's
# accesses that happen, and bits of a word that is not finished, of one that is, and at the child.
DRAWN = np.dtype(
    [(name, np.int64) for name in ("parent", "child", "finished")]
    + [(name, np.float64) for name in ("busy", "psum", "word", "inner")]
)


def shape(machine: Accelerator) -> str:
    """All of a machine that decides which mappings there are and what they move."""
    return str(_shape(machine, WEIGHTS))


def _shape(value: object, without: Dropped) -> object:
    if isinstance(value, tuple):
        return [_shape(item, without) for item in value]
    if not isinstance(value, BaseModel):
        return value
    dropped = without.get(type(value), frozenset())
    kept = (key for key in type(value).model_fields if key not in dropped)
    found = [_shape(getattr(value, key), without) for key in kept]
    if isinstance(value, Memory):  # what has no width has no port
        found += [value.read_bits_per_cycle is None, value.write_bits_per_cycle is None]
    if isinstance(value, Array):
        found += [*value.axes, *sorted(value.bus_bits_per_cycle)]
    return found


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


class Terms(NamedTuple):
    """What a layer's links come to on machines of one structure. `timing` of ports one bit wide,
    but for the skew; `drawn` [tensor, parent, child] and `wires` [tensor, parent, child, array]:
    bits of a link's words where they have a price."""

    ground: Ground
    timing: Timing
    drawn: Records
    wires: Floats
    inward: Ints
    outward: Ints


class Known:
    """Terms by layer and structure, which are those of every capacity and every number of
    instances. All are forgotten where there are too many."""

    def __init__(self) -> None:
        self._terms: dict[tuple[Layer, str], Terms] = {}

    def terms(self, layer: Layer, machine: Accelerator) -> Terms:
        """Of a layer on machines like this one."""
        asked = layer, structure(machine)
        if asked not in self._terms:
            if len(self._terms) >= MOST_TERMS:
                self._terms.clear()
            self._terms[asked] = _terms(layer, machine)
        return self._terms[asked]


def _terms(layer: Layer, machine: Accelerator) -> Terms:
    base = timing(layer, _narrow(machine))
    return Terms(
        ground(layer, machine),
        base,
        *_drawn(layer, machine),
        *_width_numbers(base, machine),
    )


def structure(machine: Accelerator) -> str:
    """A machine's shape but for capacities and instances along axes."""
    return str(_shape(machine, SIZES))


def offers(layer: Layer, machine: Accelerator, known: Known) -> Offers | None:
    """The mappings of a layer that a machine's dataflow offers; None where there are none."""
    mappings = list(offered(layer, machine))
    if not mappings:
        return None
    terms = known.terms(layer, machine)
    words = count(terms.ground, terms.timing.links, mappings, machine)
    priced = 2 * _memory_count(machine) + len(machine.arrays)
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


def _drawn(layer: Layer, machine: Accelerator) -> tuple[Records, Floats]:
    """What a word of every possible link comes to where it has a price."""
    at, count = _memory_numbers(machine), _memory_count(machine)
    drawn = np.zeros(links_shape(machine), DRAWN)
    wires = np.zeros((*links_shape(machine), len(machine.arrays)))
    for place, move in possible_links(layer, machine):
        child = at[move.link.child, move.tensor] if move.child else count
        drawn[place] = (
            at[move.link.parent, move.tensor],
            child,
            move.finished,
            _busy_share(layer, machine, move),
            move.psum_bits,
            move.parent_word_bits,
            move.child_word_bits,
        )
        for number, array in enumerate(machine.arrays):
            if array in move.arrays:
                wires[place][number] = move.wire_bits(array)
    return drawn, wires


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


def _memory_numbers(machine: Accelerator) -> dict[tuple[str, str], int]:
    """The number of each tensor's memory at each level."""
    found: dict[tuple[str, str], int] = {}
    number = 0
    for level in machine.levels:
        for memory in level.memories:
            found |= {(level.level, tensor): number for tensor in memory.tensors}
            number += 1
    return found


def _memory_count(machine: Accelerator) -> int:
    return sum(len(level.memories) for level in machine.levels)


def _narrow(machine: Accelerator) -> Accelerator:
    """The machine with every port and bus one bit wide."""
    parts: list[Array | MemoryLevel] = []
    for part in machine.hierarchy:
        if isinstance(part, Array):
            buses = dict.fromkeys(part.bus_bits_per_cycle, 1.0)
            parts.append(part.model_copy(update={"bus_bits_per_cycle": buses}))
        else:
            memories = tuple(map(_one_bit_wide, part.memories))
            parts.append(part.model_copy(update={"memories": memories}))
    fields = {key: getattr(machine, key) for key in type(machine).model_fields}
    return Accelerator.model_validate(fields | {"hierarchy": tuple(parts)})


def _one_bit_wide(memory: Memory) -> Memory:
    ways = ("read_bits_per_cycle", "write_bits_per_cycle")
    return memory.model_copy(update={way: 1.0 for way in ways if getattr(memory, way)})


def _width_numbers(base: Timing, machine: Accelerator) -> tuple[Ints, Ints]:
    """For each load, the numbers in `Priced.widths` of its way inwards and of that outwards."""
    at, levels = _memory_numbers(machine), [level.level for level in machine.levels]
    ports = list(port_names(machine))
    buses = {tuple(array.axes): number for number, array in enumerate(machine.arrays)}
    count = _memory_count(machine)
    inward, outward = (np.zeros(base.loads.size, np.int64) for _ in range(2))
    for (tensor, parent, child), link in np.ndenumerate(base.links):
        for load in range(link["begin"], link["end"]):
            port, side = ports[base.loads[load]["port"]], base.loads[load]["side"]
            if side == clock.BUS:
                bus = 2 * count + len(TENSORS) * buses[port.axes] + tensor
                inward[load] = outward[load] = bus
            elif side == clock.PARENT:
                read = 2 * at[levels[parent], TENSORS[tensor]]
                inward[load], outward[load] = read, read + 1
            else:
                read = 2 * at[levels[child], TENSORS[tensor]]
                inward[load], outward[load] = read + 1, read
    return inward, outward
