"""What a layer's links come to on a machine, known once for all machines of one structure."""

from typing import NamedTuple

import numpy as np

from hwsim.cost import busy_share
from hwsim.explore.shape import structure
from hwsim.hardware import Accelerator, Array, Memory, MemoryLevel
from hwsim.ports import port_names
from hwsim.search import clock
from hwsim.search.clock import Floats, Ints, Records, Timing, links_shape, possible_links, timing
from hwsim.search.words import Ground, ground
from hwsim.workload import TENSORS, Layer

# Some 50 kB each.
MOST_TERMS = 1000
# A possible link: the numbers of its memories, its finished words, the share of its parent's
# accesses that happen, and bits of a word that is not finished, of one that is, and at the child.
DRAWN = np.dtype(
    [(name, np.int64) for name in ("parent", "child", "finished")]
    + [(name, np.float64) for name in ("busy", "psum", "word", "inner")]
)


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


def _drawn(layer: Layer, machine: Accelerator) -> tuple[Records, Floats]:
    """What a word of every possible link comes to where it has a price."""
    at, count = _memory_numbers(machine), memory_count(machine)
    drawn = np.zeros(links_shape(machine), DRAWN)
    wires = np.zeros((*links_shape(machine), len(machine.arrays)))
    for place, move in possible_links(layer, machine):
        child = at[move.link.child, move.tensor] if move.child else count
        drawn[place] = (
            at[move.link.parent, move.tensor],
            child,
            move.finished,
            busy_share(layer, machine, move.tensor, move.link.parent, move.link.child),
            move.psum_bits,
            move.parent_word_bits,
            move.child_word_bits,
        )
        for number, array in enumerate(machine.arrays):
            if array in move.arrays:
                wires[place][number] = move.wire_bits(array)
    return drawn, wires


def _memory_numbers(machine: Accelerator) -> dict[tuple[str, str], int]:
    """The number of each tensor's memory at each level."""
    found: dict[tuple[str, str], int] = {}
    number = 0
    for level in machine.levels:
        for memory in level.memories:
            found |= {(level.level, tensor): number for tensor in memory.tensors}
            number += 1
    return found


def memory_count(machine: Accelerator) -> int:
    """Of all levels."""
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
    count = memory_count(machine)
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
