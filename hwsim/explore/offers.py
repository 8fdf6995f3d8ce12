"""What a dataflow offers a layer, for all machines that differ in prices and widths alone.

Which mappings there are, and how many bits each moves, follows from a machine's shape: its levels,
capacities, axes and word widths. Energies, bandwidths, clock and process only weigh those bits. So
the mappings of a shape are listed and counted once, and judging them on the next machine of that
shape is a sum and a walk of the compiled `hwsim.search.clock`. The answer is that of
`hwsim.dataflow.within_dataflow`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from hwsim._compiled import compiled
from hwsim.cost import _busy_share
from hwsim.hardware import Accelerator, Array, Mac, Memory, MemoryLevel
from hwsim.latency import restarts
from hwsim.mapping import Mapping
from hwsim.ports import port_names
from hwsim.registry import hook, module
from hwsim.search.clock import BUS, PARENT, Timing, cycles, timing, whole
from hwsim.skipping import compute_cycles
from hwsim.technology import array_noc_pj_per_bit, memory_pj_per_bit
from hwsim.traffic import Transfer, transfers
from hwsim.workload import TENSORS, Layer

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

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
# Some kB each.
MOST_COUNTED = 40_000


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


class Links(NamedTuple):
    """The links of all mappings, one after the other, as `hwsim.search.clock.cycles` takes them."""

    tensors: Ints
    parents: Ints
    children: Ints
    words: Floats
    first: Floats
    tile: Floats
    above: Ints
    below: Ints


@dataclass(frozen=True, kw_only=True)
class Offers:
    """A layer's mappings on a shape.

    `bits` [mapping, priced] that each moves through what has a price, see `Priced`; `links`, of
    mapping i those from `begin[i]` on; `starts`, `compute` [mapping]; `timing` of ports one bit
    wide, and `inward`, `outward` [load]: which of a machine's widths a load goes by.
    """

    bits: Floats
    links: Links
    begin: Ints
    starts: Ints
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


class Counted(NamedTuple):
    """What one mapping moves: a row of `Offers.bits`, links, starts of the pipeline, and cycles of
    arithmetic."""

    bits: Floats
    links: Links
    starts: int
    compute: float


class Counts:
    """Counts of mappings by layer and structure, which are those of every capacity and every number
    of instances: what a mapping moves follows from its own loops. All are forgotten where there are
    too many."""

    def __init__(self) -> None:
        self._forget()

    def _forget(self) -> None:
        self._known: dict[tuple[Layer, str], dict[Mapping, Counted]] = {}
        self._timings: dict[tuple[Layer, str], Timing] = {}
        self._size = 0

    def of(self, layer: Layer, mappings: Sequence[Mapping], machine: Accelerator) -> list[Counted]:
        """The counts of these mappings, in their order."""
        if self._size > MOST_COUNTED:
            self._forget()
        known = self._known.setdefault((layer, structure(machine)), {})
        for mapping in mappings:
            if mapping not in known:
                known[mapping] = _counted(layer, mapping, machine)
                self._size += 1
        return [known[mapping] for mapping in mappings]

    def timing(self, layer: Layer, machine: Accelerator) -> Timing:
        """Of ports one bit wide, but for the skew."""
        asked = layer, structure(machine)
        if asked not in self._timings:
            self._timings[asked] = timing(layer, _narrow(machine))
        return self._timings[asked]


def structure(machine: Accelerator) -> str:
    """A machine's shape but for capacities and instances along axes."""
    return str(_shape(machine, SIZES))


def offers(layer: Layer, machine: Accelerator, counts: Counts) -> Offers | None:
    """The mappings of a layer that a machine's dataflow offers; None where there are none."""
    dataflow = machine.dataflow if layer.weighted else "streaming"
    listed = hook(module("dataflow", dataflow), "mappings")(layer, machine)
    mappings = list(cast(Iterator[Mapping], listed))
    if not mappings:
        return None
    found = counts.of(layer, mappings, machine)
    base = counts.timing(layer, machine)
    inward, outward = _width_numbers(base, machine)
    columns = zip(*(each.links for each in found), strict=True)
    return Offers(
        bits=np.array([each.bits for each in found]),
        links=Links(*(np.concatenate(column) for column in columns)),
        begin=np.cumsum([0, *(each.links.tensors.size for each in found)]),
        starts=np.array([each.starts for each in found]),
        compute=np.array([each.compute for each in found]),
        timing=base,
        inward=inward,
        outward=outward,
    )


def _counted(layer: Layer, mapping: Mapping, machine: Accelerator) -> Counted:
    moves = transfers(layer, mapping, machine)
    return Counted(
        _bits(layer, machine, moves),
        _links(moves, machine),
        restarts(layer, mapping, moves),
        float(compute_cycles(layer, mapping, machine.mac)),
    )


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
    pick, taken = _cheapest(
        at_width,
        found.links,
        found.begin,
        found.starts,
        found.compute,
        energy,
        cycle_pj,
        float(powers[0]),
        float(powers[1]),
    )
    return int(pick), int(taken)


@compiled()
def _cheapest(
    t: Timing,
    links: Links,
    begin: Ints,
    starts: Ints,
    compute: Floats,
    energy: Floats,
    cycle_pj: float,
    of_energy: float,
    of_cycles: float,
) -> Any:
    least, pick, taken = np.inf, 0, 0.0
    for at in range(begin.size - 1):
        own = slice(begin[at], begin[at + 1])
        spent = whole(
            cycles(
                t,
                begin[at + 1] - begin[at],
                links.tensors[own],
                links.parents[own],
                links.children[own],
                links.words[own],
                links.first[own],
                links.tile[own],
                links.above[own],
                links.below[own],
                starts[at],
                compute[at],
            )
        )
        value = (energy[at] + spent * cycle_pj) ** of_energy * spent**of_cycles
        if value < least:
            least, pick, taken = value, at, spent
    return pick, taken


def _links(moves: Sequence[Transfer], machine: Accelerator) -> Links:
    levels = {level.level: number for number, level in enumerate(machine.levels)}
    links = [move.link for move in moves]
    words = [(link.reads, link.writes, link.delivered, link.collected) for link in links]
    return Links(
        np.array([TENSORS.index(link.tensor) for link in links]),
        np.array([levels[link.parent] for link in links]),
        np.array([levels.get(link.child, len(levels)) for link in links]),
        np.array(words, float),
        np.array([move.first_words for move in moves], float),
        np.array([move.tile_words for move in moves], float),
        np.array([move.parent_instances for move in moves]),
        np.array([move.child_instances for move in moves]),
    )


def _bits(layer: Layer, machine: Accelerator, moves: Sequence[Transfer]) -> Floats:
    """Bits of a mapping through all that has a price, as `hwsim.cost.transfer_pj` charges them."""
    at, count = _memory_numbers(machine), _memory_count(machine)
    wires = {id(array): 2 * count + number for number, array in enumerate(machine.arrays)}
    found = np.zeros(2 * count + len(machine.arrays))
    for move in moves:
        busy, parent = _busy_share(layer, machine, move), 2 * at[move.link.parent, move.tensor]
        found[parent] += busy * move.parent_read_bits
        found[parent + 1] += busy * move.parent_write_bits
        if move.child:
            child = 2 * at[move.link.child, move.tensor]
            found[child] += move.child_read_bits
            found[child + 1] += move.child_write_bits
        for array in move.arrays:
            found[wires[id(array)]] += move.noc_words * move.wire_bits(array)
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
            if side == BUS:
                bus = 2 * count + len(TENSORS) * buses[port.axes] + tensor
                inward[load] = outward[load] = bus
            elif side == PARENT:
                read = 2 * at[levels[parent], TENSORS[tensor]]
                inward[load], outward[load] = read, read + 1
            else:
                read = 2 * at[levels[child], TENSORS[tensor]]
                inward[load], outward[load] = read + 1, read
    return inward, outward
