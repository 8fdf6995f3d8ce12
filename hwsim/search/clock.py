"""Cycles of a layer from the words of its links: `hwsim.latency`, compiled for an inner loop.

Nothing here knows how a port or a bus is loaded. `timing` asks `hwsim.ports` once about one word of
every link between two levels; all cycles are in proportion to words, so that `cycles` only adds up.
Tensors are numbered as in `hwsim.workload.TENSORS`, levels as in `Accelerator.levels`, and the MACs
come after the last level.

Of the last psums that PEs finish one by one half are waited for, and a word that this cuts counts
whole, as in `Transfer.waited`: `cycles` rounds that half up, and nothing else. No time falls when
words, tiles, starts or arithmetic grow nor, but for that rounding, when fewer instances share them:
`floor` leaves it out, and bounds from below what is not yet known.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwsim._compiled import compiled
from hwsim.hardware import Accelerator
from hwsim.latency import stalls
from hwsim.mapping import Mapping, Store
from hwsim.ports import Port, demand, port_names
from hwsim.traffic import Transfer, transfers
from hwsim.workload import TENSORS, Layer

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Records = NDArray[np.void]
Place = tuple[int, int, int]

OFMAP = TENSORS.index("ofmap")
LINK = np.dtype([(name, np.int64) for name in ("begin", "end", "stalls", "into_pe")])
LOAD = np.dtype(
    [(name, np.int64) for name in ("port", "side")]
    + [(name, np.float64) for name in ("inward", "outward", "last", "finished")]
)
# Where a load lies: at the parent's or the child's instances, which share it, or on a bus.
PARENT, CHILD, BUS = range(3)
# Columns of a link's words.
READS, WRITES, DELIVERED, COLLECTED = range(4)
# Rows of cycles by port, above the PEs and then within: first tiles inwards, all inwards, what
# outlasts the last tiles outwards, and what only passes beside. Two more rows are of one link.
LEAD, INWARD, OUTWARD, BESIDE = range(4)
WHOLE, WAITED, ROWS = 8, 9, 10
# Columns of cycles in which nothing else goes on, above the PEs and within.
STALLED, TAILS = range(2)


class Timing(NamedTuple):
    """How long words take, for a layer on a machine.

    `links` [tensor, parent, child]: the range of a link's loads, empty where there is no such link,
    and `stalls` and `into_pe` as `hwsim.latency` asks for them. `loads`: one for each port or bus
    that a link passes; its number, its side (PARENT, CHILD or BUS), cycles of a word inwards,
    outwards and outwards among an ofmap's last, and what all finished words take more than others.
    `least` [tensor, parent, child, 4]: words that pass a link under any mapping. `skew`: cycles a
    start. `ports`: how many there are.
    """

    links: Records
    loads: Records
    least: Floats
    skew: float
    ports: int


def timing(layer: Layer, machine: Accelerator) -> Timing:
    """The numbers of a layer, as it is given, on a machine."""
    ports = {port: number for number, port in enumerate(port_names(machine))}
    links, least = np.zeros(links_shape(machine), LINK), np.zeros((*links_shape(machine), 4))
    loads: list[tuple[float, ...]] = []
    for place, move in possible_links(layer, machine):
        begin, link = len(loads), move.link
        loads += _loads(move, ports)
        links[place] = begin, len(loads), stalls(move), move.into_pe
        least[place] = link.reads, link.writes, link.delivered, link.collected
    skew = float(sum(array.skew_cycles for array in machine.arrays))
    return Timing(links, np.array(loads, LOAD), least, skew, len(ports))


def links_shape(machine: Accelerator) -> Place:
    """How many tensors, parents and children a link may have."""
    levels = len(machine.levels)
    return len(TENSORS), levels, levels + 1


def possible_links(layer: Layer, machine: Accelerator) -> Iterator[tuple[Place, Transfer]]:
    """Every link that a mapping may have by (tensor, parent, child), as a nest without loops has
    it, which moves each word as seldom as any."""
    numbers = {level.level: number for number, level in enumerate(machine.levels)}
    for tensor in layer.tensors:
        levels = [level.level for level in machine.levels if level.memory(tensor)]
        for ends in (*combinations(levels, 2), *((level,) for level in levels)):
            nest = Mapping(tuple(Store(level, (tensor,)) for level in ends))
            move = transfers(layer, nest, machine)[0]
            child = numbers.get(move.link.child, len(numbers))
            yield (TENSORS.index(tensor), numbers[move.link.parent], child), move


def _loads(move: Transfer, ports: dict[Port, int]) -> Iterator[tuple[float, ...]]:
    """A link's loads: those of one word each way, unfinished and finished."""
    word = replace(move.link, reads=1, delivered=1, collected=1, writes=1)
    plain, final = (demand(replace(move, link=word, finished=n)) for n in (0, 1))
    # Nothing but an ofmap ever goes outwards.
    outward, last = (plain.outward, final.outward) if move.leaves else ({}, {})
    for port in dict.fromkeys((*plain.inward, *outward)):
        side = BUS if port.axes else PARENT if port.place == word.parent else CHILD
        unfinished, finished = outward.get(port, 0.0), last.get(port, 0.0)
        more = move.finished * (finished - unfinished)
        yield ports[port], side, plain.inward.get(port, 0.0), unfinished, finished, more


@compiled()
def cycles(
    timing: Timing,
    count: int,
    tensors: Ints,
    parents: Ints,
    children: Ints,
    words: Floats,
    first: Floats,
    tile: Floats,
    above: Ints,
    below: Ints,
    starts: int,
    compute: float,
) -> Any:
    """Cycles in all of the first `count` links, not yet whole: what `hwsim.latency.elapsed` finds.

    By link, in any order: `tensors`, `parents` and `children` by number; `words` [link, 4], columns
    READS, WRITES, DELIVERED and COLLECTED; `first` and `tile`, words of the first tiles and of an
    instance's (`Transfer.first_words`, `.tile_words`); `above` and `below`, instances of parent and
    child. `starts`: as `hwsim.latency.restarts` counts them; `compute`: cycles of arithmetic.
    """
    nest = tensors[:count], parents[:count], children[:count]
    return _elapsed(timing, nest, words, (first, tile), (above, below), starts, compute, True)


@compiled()
def floor(
    timing: Timing,
    count: int,
    tensors: Ints,
    parents: Ints,
    children: Ints,
    words: Floats,
    first: Floats,
    tile: Floats,
    above: Ints,
    below: Ints,
    starts: int,
    compute: float,
) -> Any:
    """No more than `cycles` finds for any mapping that has these links, perhaps with others.

    Arguments as for `cycles`: `words`, `first`, `tile`, `starts` and `compute` may be too low (0,
    0, 0, 1 and 1 where nothing is known), `above` and `below` too high. No link's words are taken
    to be fewer than `timing.least`.
    """
    raised = np.empty((count, 4))
    for at in range(count):
        least = timing.least[tensors[at], parents[at], children[at]]
        for column in range(4):
            raised[at, column] = max(words[at, column], least[column])
    nest = tensors[:count], parents[:count], children[:count]
    return _elapsed(timing, nest, raised, (first, tile), (above, below), starts, compute, False)


@compiled()
def whole(cycles: float) -> Any:
    """Cycles begun, as `hwsim.cost.Cost.cycles` has them: whole, but still a float."""
    return np.ceil(round(cycles, 3))


@compiled(zero_division=False)
def _elapsed(
    timing: Timing,
    nest: tuple[Ints, Ints, Ints],
    words: Floats,
    tiles: tuple[Floats, Floats],
    instances: tuple[Ints, Ints],
    starts: int,
    compute: float,
    cut_counts_whole: bool,
) -> Any:
    """`cycles`, where a word that halving cuts counts whole, or half."""
    (tensors, parents, children), (first, tile), (above, below) = nest, tiles, instances
    links, loads = timing.links, timing.loads
    rows, alone = np.zeros((ROWS, timing.ports)), np.zeros((2, 2))
    for at in range(tensors.size):
        link, leaves = links[tensors[at], parents[at], children[at]], tensors[at] == OFMAP
        times = starts if link.into_pe else 1
        once, each = times * first[at], times * tile[at] * below[at]
        if leaves and link.into_pe:
            once, each = once / 2, each / 2
            if cut_counts_whole:
                once, each = np.ceil(once), np.ceil(each)
        shares = 1.0 / above[at], 1.0 / below[at], 1.0
        stall, tail = _weigh(loads, link, words, at, (once, each), shares, rows)
        if link.stalls:
            alone[link.into_pe, STALLED] += stall
        elif leaves:
            alone[link.into_pe, TAILS] += tail
        _join(loads, link, leaves, tail, rows)
    skew = timing.skew * starts
    pes = alone[1, STALLED] + skew + _span(compute, rows[4:8], alone[1, TAILS])
    return alone[0, STALLED] + _span(pes, rows[:4], alone[0, TAILS])


@compiled(inline=True)
def _weigh(
    loads: Records,
    link: Any,
    words: Floats,
    at: int,
    tiles: tuple[float, float],
    shares: tuple[float, float, float],
    rows: Floats,
) -> Any:
    """Cycles of one link's loads, into `rows`; those of its slowest way in and out, with nothing
    beside, and those of its slowest last tiles."""
    inner = words[at, READS], words[at, DELIVERED], words[at, READS]
    outer = words[at, WRITES], words[at, COLLECTED], words[at, WRITES]
    inward = outward = tail = 0.0
    for number in range(link.begin, link.end):
        load = loads[number]
        share, most = shares[load.side], tiles[1] if load.side == CHILD else tiles[0]
        here, back = inner[load.side], outer[load.side]
        into = share * here * load.inward
        out = share * (back * load.outward + load.finished)
        waited = share * (min(most, here) * load.inward + min(most, back) * load.last)
        rows[WHOLE, number - link.begin] = into + out
        rows[WAITED, number - link.begin] = waited
        inward, outward, tail = max(inward, into), max(outward, out), max(tail, waited)
    return inward + outward, tail


@compiled(inline=True)
def _join(loads: Records, link: Any, leaves: bool, tail: float, rows: Floats) -> None:
    """Adds one link's cycles to those of its ports."""
    group = 4 * link.into_pe
    for number in range(link.begin, link.end):
        port, whole = loads[number].port, rows[WHOLE, number - link.begin]
        if link.into_pe:
            rows[BESIDE, port] += whole
        if link.stalls:
            continue
        if leaves:
            rows[group + OUTWARD, port] += max(0.0, whole - tail)
        else:
            rows[group + LEAD, port] += rows[WAITED, number - link.begin]
            rows[group + INWARD, port] += whole


@compiled(inline=True)
def _span(work: float, rows: Floats, tails: float) -> Any:
    """Cycles from the first tiles in to the last ones out, as `hwsim.latency` has them."""
    lead = 0.0
    for port in range(rows.shape[1]):
        lead = max(lead, rows[LEAD, port])
    longest = lead + work
    for port in range(rows.shape[1]):
        inward = max(lead, rows[INWARD, port])
        longest = max(longest, inward + rows[BESIDE, port] + rows[OUTWARD, port])
    return longest + tails
