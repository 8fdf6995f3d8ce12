"""Costs of many mappings of one layer, put together from the links of single tensors.

What a link costs depends on the loops above its child, dimension by dimension, on which of them lie
above the tensor's mover, and on the mover's dimension. The loops in space above its parent are
those over arrays outside the parent's level. It does not depend on how loops of different
dimensions interleave otherwise, nor on where other tensors are kept. So `hwsim` prices each such
link once, and a mapping costs what the sum of its links' rows says. Only three things join tensors:
how often the pipeline starts, what a shared memory holds, and the side of an array on which stores
lie.
"""

from collections.abc import Hashable, Sequence
from collections.abc import Mapping as MappingType
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hwsim.cost import transfer_pj
from hwsim.hardware import Accelerator
from hwsim.latency import Load, stalls
from hwsim.mapping import Loop, Mapping, Node, Store, kept_bits
from hwsim.ports import port_names
from hwsim.reuse import MAC, executions
from hwsim.traffic import Transfer, transfers
from hwsim.workload import Layer
from tests.exhaustive_nests import Chains, Path, Point, Stored

Row = NDArray[np.float64]
Rows = NDArray[np.float64]
Integers = NDArray[np.int64]
Link = tuple[Stored, Stored]  # parent and child

# Columns of a row: these, then so many for each port, then the bits kept in each memory.
ENERGY, PAD_STALL, BUFFER_STALL, PAD_TAIL, BUFFER_TAIL, PORTS = range(6)
BESIDE, PAD_IN, PAD_OUT, PAD_LEAD, BUFFER_IN, BUFFER_OUT, BUFFER_LEAD, BITS = range(8)


class Table(NamedTuple):
    """One tensor's choices of stores in one nest, a row each: costs, how many loops refill the
    `single` memories among them, by array the deepest store outside it, the first one inside, and
    the choice's number among all of them."""

    rows: Rows
    fills: Integers
    outer: Integers
    inner: Integers
    places: Integers


class Prices:
    """The links of one layer on one machine, each priced once."""

    def __init__(self, layer: Layer, machine: Accelerator) -> None:
        assert not machine.mac.zero_skipping, "cycles of skipped zeros are not sums of links"
        self.layer, self.machine = layer, machine
        self.ports = {port: column for column, port in enumerate(port_names(machine))}
        memories = [(level.level, m) for level in machine.levels[1:] for m in level.memories]
        self.capacity = np.array([memory.usable_bits for _, memory in memories])
        self._memories = {
            (level, tensor): (column, memory)
            for column, (level, memory) in enumerate(memories)
            for tensor in memory.tensors
        }
        self._ramps = {
            (tensor, child)
            for tensor in layer.tensors
            for child in (MAC, *(part.level for part in machine.levels if part.component == "spad"))
            if not self.waits(tensor, child)
        }
        self._rows = np.zeros((1024, PORTS + BITS * len(self.ports) + len(memories)))
        self._count = 1  # the first row is all zeros
        self._numbers: dict[Hashable, int] = {}
        self._moves: dict[Hashable, Transfer] = {}
        self._starts: dict[Chains, int] = {}

    def starts(self, point: Point) -> int:
        """How often what lies below a point is executed, in time."""
        if point.chains not in self._starts:
            mapping = Mapping(point.loops)
            self._starts[point.chains] = executions(self.layer, mapping, len(point.loops))
        return self._starts[point.chains]

    def waits(self, tensor: str, level: str) -> bool:
        """Whether the pipeline starts anew when the tensor is filled into the level."""
        memory = self._memories.get((level, tensor))
        return memory is not None and memory[1].buffering == "single"

    def rows(self, path: Path, tensor: str, links: Sequence[Link], starts: int) -> Rows:
        """A row for each link, when the pipeline starts so many times, and one of zeros."""
        numbers = [self._number(path, tensor, link, starts) for link in links]
        return self._rows[[*numbers, 0]]

    def _number(self, path: Path, tensor: str, link: Link, starts: int) -> int:
        (parent, _), (child, depth) = link
        mover = None if child == MAC else path[depth].movers.get(tensor)
        key = tensor, parent, child, path[depth].chains, mover
        starts = starts if (tensor, child) in self._ramps else 1
        number = self._numbers.get((starts, key))
        if number is None:
            if key not in self._moves:
                self._moves[key] = self._move(path[-1].loops, tensor, link)
            number = self._numbers[starts, key] = self._added(self._row(self._moves[key], starts))
        return number

    def _move(self, loops: tuple[Loop, ...], tensor: str, link: Link) -> Transfer:
        dram = (self.machine.levels[0].level, 0)
        stores = {other: [dram] for other in self.layer.tensors}
        stores[tensor] = [dram, *(end for end in link if end != dram and end[0] != MAC)]
        moves = transfers(self.layer, woven(self.machine, loops, stores), self.machine)
        ends = link[0][0], link[1][0]
        return next(
            m for m in moves if m.tensor == tensor and (m.link.parent, m.link.child) == ends
        )

    def _row(self, move: Transfer, starts: int) -> Row:
        load, row = Load.of(move, starts), np.zeros(self._rows.shape[1])
        row[ENERGY] = sum(transfer_pj(self.layer, self.machine, (move,), 0).values())
        if move.child:
            column, memory = self._memories[move.link.child, move.tensor]
            row[column - len(self.capacity)] = move.tile_words * kept_bits(
                self.layer, memory, move.tensor
            )
        if stalls(move):
            row[PAD_STALL if move.into_pe else BUFFER_STALL] = load.stall
        elif move.leaves:
            row[PAD_TAIL if move.into_pe else BUFFER_TAIL] = max(load.waited.values(), default=0.0)
        self._fill_ports(row, move, load)
        return row

    def _fill_ports(self, row: Row, move: Transfer, load: Load) -> None:
        count = len(self.ports)
        part = row[PORTS : PORTS + BITS * count].reshape(BITS, count)
        whole = np.array([load.whole.get(port, 0.0) for port in self.ports])
        if move.into_pe:
            part[BESIDE] = whole
        if stalls(move):
            return
        if move.leaves:
            tail = row[PAD_TAIL if move.into_pe else BUFFER_TAIL]
            part[PAD_OUT if move.into_pe else BUFFER_OUT] = np.maximum(whole, tail)
        else:
            part[PAD_IN if move.into_pe else BUFFER_IN] = whole
            waited = [load.waited.get(port, 0.0) for port in self.ports]
            part[PAD_LEAD if move.into_pe else BUFFER_LEAD] = waited

    def _added(self, row: Row) -> int:
        if self._count == len(self._rows):
            self._rows = np.concatenate((self._rows, np.zeros_like(self._rows)))
        self._rows[self._count] = row
        self._count += 1
        return self._count - 1


def woven(
    machine: Accelerator, loops: Sequence[Loop], stores: MappingType[str, Sequence[Stored]]
) -> Mapping:
    """The loops with each tensor's stores between them, outer levels first."""
    nodes: list[Node] = []
    for above in range(len(loops) + 1):
        for level in machine.levels:
            kept = tuple(tensor for tensor in stores if (level.level, above) in stores[tensor])
            nodes += [Store(level.level, kept)] if kept else []
        nodes += loops[above : above + 1]
    return Mapping(tuple(nodes))


@njit(cache=True)
def assemble(
    first: Table,
    second: Table,
    third: Table,
    fills: int,
    capacity: Row,
    work: tuple[float, float],
    found: Rows,
    places: Integers,
) -> int:
    """Writes energy, without that by cycle, and cycles of every valid triple of choices that
    refills so many loops into `found` [valid triple, 2], its choices into `places` [valid triple,
    3], and says how many there are. `work`: cycles of skew, and of arithmetic."""
    ports = (first.rows.shape[1] - PORTS - capacity.size) // BITS
    pair, row = np.zeros(first.rows.shape[1]), np.zeros(first.rows.shape[1])
    count = 0
    for i in range(first.fills.size):
        for j in range(second.fills.size):
            _add(first.rows[i], second.rows[j], pair)
            filled = max(first.fills[i], second.fills[j])
            if filled > fills or not _fits(pair, capacity):
                continue
            outer = np.maximum(first.outer[i], second.outer[j])
            inner = np.minimum(first.inner[i], second.inner[j])
            for k in range(third.fills.size):
                if max(filled, third.fills[k]) != fills:
                    continue
                if not _nested(outer, third.outer[k], inner, third.inner[k]):
                    continue
                _add(pair, third.rows[k], row)
                if _fits(row, capacity):
                    found[count, 0] = row[ENERGY]
                    found[count, 1] = _cycles(row, ports, work)
                    places[count, 0] = first.places[i]
                    places[count, 1] = second.places[j]
                    places[count, 2] = third.places[k]
                    count += 1
    return count


@njit(cache=True)
def _add(one: Row, other: Row, total: Row) -> None:
    for column in range(total.size):
        total[column] = one[column] + other[column]


@njit(cache=True)
def _nested(outer: Integers, outer_too: Integers, inner: Integers, inner_too: Integers) -> Any:
    """Whether all stores outside each array come before all those inside."""
    beyond = 0
    for array in range(outer.size):
        deepest = max(outer[array], outer_too[array])
        beyond = max(beyond, deepest - min(inner[array], inner_too[array]))
    return beyond == 0


@njit(cache=True)
def _fits(row: Row, capacity: Row) -> bool:
    excess = 0.0
    for column in range(1, capacity.size + 1):
        excess = max(excess, row[-column] - capacity[-column])
    return excess <= 0.0


@njit(cache=True)
def _cycles(row: Row, ports: int, work: tuple[float, float]) -> Any:
    """`hwsim.latency.elapsed` of a sum of rows, in whole cycles."""
    work_and_tails = work[1] + row[PAD_TAIL]
    pads = _span(work_and_tails, row, ports, (PAD_LEAD, PAD_IN, PAD_OUT), 0.0)
    work_and_tails = row[PAD_STALL] + work[0] + pads + row[BUFFER_TAIL]
    total = _span(work_and_tails, row, ports, (BUFFER_LEAD, BUFFER_IN, BUFFER_OUT), 1.0)
    return np.ceil(round(total + row[BUFFER_STALL], 3))


@njit(cache=True)
def _span(work: float, row: Row, ports: int, parts: tuple[int, int, int], beside: float) -> float:
    """`hwsim.latency._span`: `parts` say where first tiles, all inwards and all outwards are."""
    waited, inward, outward = (
        PORTS + ports * parts[0],
        PORTS + ports * parts[1],
        PORTS + ports * parts[2],
    )
    lead = 0.0
    for port in range(ports):
        lead = max(lead, row[waited + port])
    longest = lead + work
    for port in range(ports):
        longest = max(
            longest,
            max(lead, row[inward + port])
            + row[outward + port]
            + beside * row[PORTS + ports * BESIDE + port],
        )
    return longest
