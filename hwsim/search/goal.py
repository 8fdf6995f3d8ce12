"""The objective as sums of monomials: what words of each of a structure's links cost and take.

Energy is a sum of words, each a monomial times a tensor's words, plus what every nest costs. Cycles
are the longest of many such sums: of those by which `hwsim.latency` finds each port and bus busy,
each link that stalls on its slowest way, and arithmetic between first and last tiles. What skewed
arrays need at starts of the pipeline after the first one is left out, as are first tiles of MACs
that no pad feeds; so cycles are never too many.

A psum is read back but on its first visit: n visits are n - 1 reads. Logarithms of sums need what
is constant in them to be positive, and n >= 1, so that A n - B >= (A - B) n where that is needed.
"""

from collections.abc import Iterable
from itertools import accumulate, product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwsim.cost import _ungated_share, arithmetic_pj
from hwsim.hardware import Accelerator, Array
from hwsim.mapping import Mapping, kept_bits
from hwsim.search.clock import BUS, CHILD, PARENT, Timing, timing
from hwsim.search.master import Goal
from hwsim.search.problem import (
    FIRSTS,
    INNER,
    LEADS,
    MACS,
    MONOMIALS,
    OUTER,
    RISEN,
    STEPS,
    lead_tile,
)
from hwsim.search.structures import Kept, Structure, inner_levels
from hwsim.skipping import expected_cycles, mac_cycles, performed_share
from hwsim.technology import array_noc_pj_per_bit, memory_pj_per_bit
from hwsim.traffic import code_bits, coded_bits
from hwsim.workload import TENSORS, Layer

Floats = NDArray[np.float64]

# Sums of links above the PEs and of those within: alternatives for each link.
Resolved = tuple[list[list[Floats]], list[list[Floats]]]
POWERS = {"energy": (1, 0), "cycles": (0, 1), "edp": (1, 1), "ed2p": (1, 2)}
OFMAP = TENSORS.index("ofmap")
# Columns of a link's words; the last are psums that pass no neighbour, being the first to come.
READ, WRITTEN, DELIVERED, COLLECTED, ALONE = range(5)
# A sum: a factor of each monomial, less so much if it is visited at all, and a constant.
EACH, FIRST, CONST = slice(0, MONOMIALS), slice(MONOMIALS, 2 * MONOMIALS), 2 * MONOMIALS
SUM = 2 * MONOMIALS + 1
# Alternatives of a maximum beyond which those that look shortest are left out.
MOST_SUMS = 64
# Sums of the same times in another order differ by less than this share.
ROUNDING = 1e-12


class Prices(NamedTuple):
    """What words and cycles of a layer cost and take, whatever the structure.

    `pj` [tensor, parent, child, 5]: of a word by column; `arithmetic_pj`; `finished_pj`: what
    finished ofmaps cost more in DRAM than psums; `cycle_pj`. `timing`: cycles of a word. `words`
    [tensor]: those of a monomial of 1; `operands` [tensor]: those that MACs are sent; `elements`:
    the ifmap's words of each place in it, in pads and, where padding is sent as well, in buffers,
    or 0; `ifmap_reads` from pads; `read_back`: least psums that they read from pads. `arithmetic`:
    a sum of cycles. `split`: the first level within the array; `places` on it.
    """

    pj: Floats
    arithmetic_pj: float
    finished_pj: float
    cycle_pj: float
    timing: Timing
    words: tuple[float, ...]
    operands: tuple[float, ...]
    elements: tuple[float, float]
    ifmap_reads: float
    read_back: float
    arithmetic: Floats
    split: int
    places: int


class _Flow(NamedTuple):
    """A link of a structure: its place in the tables, whether its ends lie within the array, and
    sums of its words by column; `read_back`: those that pass a port inwards, at least; `waited`:
    those of first or last tiles, that arithmetic waits for."""

    place: tuple[int, int, int]
    within: tuple[bool, bool]
    words: Floats
    read_back: Floats
    waited: Floats


# Prices of a layer


def word_prices(layer: Layer, machine: Accelerator) -> Prices:
    """What words of a layer, as it is given, cost and take on a machine."""
    count = len(machine.levels)
    pj = np.zeros((3, count, count + 1, 5))
    for t, tensor in enumerate(TENSORS):
        if tensor in layer.tensors:
            for parent in range(count):
                for child in range(parent + 1, count + 1):
                    pj[t, parent, child] = _word(layer, machine, tensor, parent, child)
    places = machine.arrays[0].instances if machine.arrays else 1
    operations, words = float(layer.operations), float(layer.words("ofmap"))
    reduced = layer.operations // layer.words("ofmap")
    sent = machine.stores_padding or not (layer.pad_h or layer.pad_w)
    return Prices(
        pj=pj,
        arithmetic_pj=arithmetic_pj(layer, machine),
        finished_pj=_finished_pj(layer, machine),
        cycle_pj=_cycle_pj(machine),
        timing=timing(layer, machine),
        words=(
            float(layer.operands * layer.N * layer.G * layer.C),
            float(layer.G * layer.K * layer.C * layer.R * layer.S),
            words,
        ),
        operands=(layer.operands * operations, operations, operations),
        elements=(layer.operands, layer.operands if sent else 0),
        ifmap_reads=_ifmap_reads(layer, machine),
        read_back=max(0.0, operations - words * min(reduced, places)),
        arithmetic=_arithmetic(layer, machine, places),
        split=inner_levels(machine),
        places=places,
    )


def _word(layer: Layer, machine: Accelerator, tensor: str, parent: int, child: int) -> list[float]:
    levels = machine.levels
    inside = child < len(levels)
    above = levels[parent].memory(tensor)
    below = levels[child].memory(tensor) if inside else None
    if above is None or (inside and below is None):
        return [0.0] * 5
    read, write = memory_pj_per_bit(above, machine.technology)
    share = _share(layer, machine, tensor, levels[parent].component, inside)
    noc = _noc_pj(
        layer, machine, tensor, levels[parent].level, levels[child].level if inside else ""
    )
    fetch, keep = memory_pj_per_bit(below, machine.technology) if below else (0.0, 0.0)
    if tensor == "ofmap":
        up = kept_bits(layer, above, tensor) * share
        down = kept_bits(layer, below, tensor) if below else 0.0
        return [up * read, up * write, down * keep, down * fetch + noc, -noc]
    up = coded_bits(layer, above, tensor) * share
    down = coded_bits(layer, below, tensor) if below else 0.0
    return [up * read, 0.0, down * keep + noc, 0.0, 0.0]


def _share(layer: Layer, machine: Accelerator, tensor: str, component: str, inside: bool) -> float:
    """The share of accesses that happen: a MAC that skips or gates spares those to its pad."""
    if inside or component != "spad":
        return 1.0
    performed = performed_share(layer, machine.mac)
    return performed if tensor == "ifmap" else performed * _ungated_share(layer, machine)


def _noc_pj(layer: Layer, machine: Accelerator, tensor: str, parent: str, child: str) -> float:
    bits = layer.psum.bits if tensor == "ofmap" else layer.tensor(tensor).bits
    outer = machine.depth(parent)
    inner = machine.depth(child) if child else len(machine.hierarchy)
    packed = code_bits(layer, machine.level(child).memory(tensor) if child else None, tensor)
    return sum(
        min(part.word_bits(bits), packed) * array_noc_pj_per_bit(part, machine.technology)
        for part in machine.hierarchy[outer:inner]
        if isinstance(part, Array)
    )


def _finished_pj(layer: Layer, machine: Accelerator) -> float:
    dram = machine.levels[0].memory("ofmap")
    if dram is None or dram.cell != "dram":
        return 0.0
    _, write = memory_pj_per_bit(dram, machine.technology)
    wider = coded_bits(layer, dram, "ofmap") - kept_bits(layer, dram, "ofmap")
    return layer.words("ofmap") * write * wider


def _cycle_pj(machine: Accelerator) -> float:
    control = machine.control
    return control.clock_pj_per_cycle + control.leakage_mw / machine.clock_mhz * 1e3


def _arithmetic(layer: Layer, machine: Accelerator, places: int) -> Floats:
    """Cycles of arithmetic, at least: all steps or, where PEs skip zeros, all work on all PEs."""
    found, skipped = np.zeros(SUM), machine.mac.zero_skipping
    each = float(mac_cycles(layer, machine.mac))
    if layer.weighted and skipped:
        work = expected_cycles(layer, Mapping(()), sync=0, skipped=skipped)
        found[CONST] = max(1, each * work / places)
    else:
        found[STEPS] = each
    return found


def _ifmap_reads(layer: Layer, machine: Accelerator) -> float:
    """Ifmap operands that exist: those of padding do not, where it is not stored."""
    heights = (layer.P, layer.R, layer.stride_h, layer.dilation_h, layer.pad_h, layer.H)
    widths = (layer.Q, layer.S, layer.stride_w, layer.dilation_w, layer.pad_w, layer.W)
    rows, columns = (_inside(*side, stored=machine.stores_padding) for side in (heights, widths))
    return float(layer.operands * layer.N * layer.G * layer.C * layer.K * rows * columns)


def _inside(
    count: int, window: int, stride: int, dilation: int, pad: int, size: int, *, stored: bool
) -> int:
    first, end = (0, size + 2 * pad) if stored else (pad, size + pad)
    at = np.arange(count)[:, None] * stride + np.arange(window)[None, :] * dilation
    return int(((at >= first) & (at < end)).sum())


# A structure's words


def goal(
    layer: Layer, machine: Accelerator, structure: Structure, objective: str, prices: Prices
) -> Goal:
    """What is minimised in a structure."""
    powers, flows = POWERS[objective], _flows(layer, structure, prices, len(machine.levels))
    timed = powers[1] > 0 or prices.cycle_pj > 0
    sums = _elapsed(flows, prices, waits=powers[1] > 0) if timed else []
    if powers[0]:
        energy, energy_const = _positive(_energy(flows, prices))
    else:
        energy, energy_const = np.zeros(MONOMIALS), 0.0
    busy = [_positive(row) for row in sums]
    return Goal(
        powers=np.array(powers, np.int64),
        energy=energy,
        energy_const=energy_const,
        busy=np.array([each for each, _ in busy]).reshape(len(busy), MONOMIALS),
        busy_const=np.array([const for _, const in busy], float),
        clock=prices.cycle_pj if powers[0] else 0.0,
    )


def _flows(layer: Layer, structure: Structure, prices: Prices, macs: int) -> list[_Flow]:
    """Every link of a structure; `macs`: the MACs' number among levels."""
    places = [
        (kept, k, RISEN if k == structure.risen else k) for k, kept in enumerate(structure.outer)
    ]
    places += [(kept, OUTER + j, OUTER + INNER + j) for j, kept in enumerate(structure.inner)]
    places.sort(key=lambda place: place[0].level)
    found = []
    for t, tensor in enumerate(TENSORS):
        if tensor not in layer.tensors:
            continue
        parent, last, lead = 0, -1, lead_tile(structure, tensor) >= 0
        for kept, together, summed in places:
            if kept.tensor == tensor:
                flow = _to_store(t, parent, kept, together, summed, prices)
                _wait(flow, LEADS + t if lead else -1, together, prices)
                found.append(flow)
                parent, last = kept.level, summed
        found.append(_to_macs(t, parent, macs, last, prices))
    return found


def _to_store(t: int, parent: int, kept: Kept, together: int, summed: int, prices: Prices) -> _Flow:
    """Words between two stores; those within PEs read back each psum at least never."""
    within = parent >= prices.split, kept.level >= prices.split
    words, base = np.zeros((5, SUM)), prices.words[t]
    once = summed if within[0] else together
    words[READ, once] = words[DELIVERED, summed] = base
    if t == OFMAP:
        words[WRITTEN, once] = words[COLLECTED, summed] = base
        words[DELIVERED] = words[READ]
        words[READ, MONOMIALS + once] = words[DELIVERED, MONOMIALS + once] = base
        words[ALONE, summed], words[ALONE, MONOMIALS + summed] = 0.0, -base
        if within[0]:
            words[[READ, DELIVERED, ALONE]] = 0.0
    return _Flow((t, parent, kept.level), within, words, words[READ], np.zeros(SUM))


def _wait(flow: _Flow, lead: int, together: int, prices: Prices) -> None:
    """Fills in the words that arithmetic waits for: of a pad those of the monomial `lead`, or all,
    where it is filled before the pipeline starts; of a buffer its first tile."""
    t = flow.place[0]
    if flow.within == (False, True) and lead < 0:
        flow.waited[:] = flow.words[WRITTEN if t == OFMAP else READ]
    elif flow.within == (False, True):
        flow.waited[lead] = prices.elements[0] if t == 0 else 1.0
    elif flow.within == (False, False):
        flow.waited[FIRSTS + together] = prices.elements[1] if t == 0 else 1.0


def _to_macs(t: int, parent: int, macs: int, last: int, prices: Prices) -> _Flow:
    """Words between the MACs and the store above, `last` the monomial of all that it is sent."""
    inside = parent >= prices.split
    words, base = np.zeros((5, SUM)), prices.words[t]
    words[DELIVERED, CONST] = words[READ, CONST] = prices.operands[t]
    read_back = words[READ]
    if t != OFMAP and inside:
        words[READ, CONST] = prices.ifmap_reads if t == 0 else prices.operands[t]
    elif t != OFMAP:
        words[READ, CONST], words[READ, MACS + t] = 0.0, base
    elif inside:
        words[WRITTEN], words[COLLECTED] = words[DELIVERED], words[DELIVERED]
        words[READ, last] = -base
        words[DELIVERED] = words[READ]
        read_back = np.zeros(SUM)
        read_back[CONST] = prices.read_back
    else:
        words[COLLECTED] = words[DELIVERED]
        words[WRITTEN, MACS + t] = base
        words[READ, CONST], words[READ, MACS + t] = 0.0, base
        words[READ, MONOMIALS + MACS + t] = base
        words[DELIVERED] = words[READ]
        words[ALONE, CONST] = base
    return _Flow((t, parent, macs), (inside, inside), words, read_back, np.zeros(SUM))


# Sums of energy and of cycles


def _energy(flows: Iterable[_Flow], prices: Prices) -> Floats:
    """The sum of all energy but for that of cycles."""
    found = np.zeros(SUM)
    found[CONST] = prices.arithmetic_pj
    for flow in flows:
        found += prices.pj[flow.place] @ flow.words
        if flow.place[:2] == (OFMAP, 0):
            _finish(found, flow, prices.finished_pj)
    return found


def _finish(total: Floats, flow: _Flow, more: float) -> None:
    """Adds what finished words take more than others: if less, at most what all words take."""
    written = np.flatnonzero(flow.words[WRITTEN, EACH])
    if more < 0 and written.size:
        total[MONOMIALS + written[0]] -= more
    else:
        total[CONST] += more


def _elapsed(flows: list[_Flow], prices: Prices, *, waits: bool) -> list[Floats]:
    """Sums of which cycles are at least the largest: `latency.elapsed`, its maxima resolved."""
    stalled, ramps = _stalls(flows, prices), _ramps(flows, prices) if waits else ([], [])
    ports = np.zeros((2, prices.timing.ports, SUM))
    for flow in flows:
        link = prices.timing.links[flow.place]
        for way in _ways(flow, prices):
            for port, row in way.items():
                ports[0, port] += row if link["into_pe"] or not link["stalls"] else 0.0
                ports[1, port] += row if link["into_pe"] and not link["stalls"] else 0.0
    start = np.zeros(SUM)
    start[CONST] = prices.timing.skew
    work = _all([[prices.arithmetic], *ramps[1]])
    pes = _all([*stalled[1], [start], _longest([*work, *ports[1]])])
    return _all([*stalled[0], _longest([*_all([pes, *ramps[0]]), *ports[0]])])


def _stalls(flows: list[_Flow], prices: Prices) -> Resolved:
    """Of the links above the PEs and of those within: cycles in which nothing else goes on."""
    found: Resolved = ([], [])
    for flow in flows:
        link = prices.timing.links[flow.place]
        if link["stalls"]:
            ways = (_longest(way.values()) for way in _ways(flow, prices))
            found[link["into_pe"]].append([a + b for a, b in product(*ways)])
    return found


def _ramps(flows: list[_Flow], prices: Prices) -> Resolved:
    """The same of what arithmetic waits for: first tiles, which come side by side, and last ones of
    which half have left when PEs finish them one by one."""
    found: Resolved = ([], [])
    leads = np.zeros((2, prices.timing.ports, SUM))
    for flow in flows:
        link = prices.timing.links[flow.place]
        loads = [
            load
            for load in prices.timing.loads[link["begin"] : link["end"]]
            if load["side"] != CHILD and not flow.within[0]
        ]
        if link["stalls"] or not flow.waited.any():
            continue
        if flow.place[0] == OFMAP:
            share = 0.5 if link["into_pe"] else 1.0
            tails = (share * load["last"] * flow.waited for load in loads)
            found[link["into_pe"]].append(_longest(tails))
        else:
            for load in loads:
                leads[link["into_pe"], load["port"]] += load["inward"] * flow.waited
    return [_longest(leads[0]), *found[0]], [_longest(leads[1]), *found[1]]


def _ways(flow: _Flow, prices: Prices) -> tuple[dict[int, Floats], dict[int, Floats]]:
    """Cycles of each port inwards and outwards."""
    link = prices.timing.links[flow.place]
    inward: dict[int, Floats] = {}
    outward: dict[int, Floats] = {}
    for load in prices.timing.loads[link["begin"] : link["end"]]:
        below = load["side"] not in (PARENT, BUS)
        within = load["side"] != BUS and flow.within[below]
        share = 1.0 / prices.places if within else 1.0
        into = flow.words[DELIVERED] if below else flow.read_back
        back = flow.words[COLLECTED if below else WRITTEN] * load["outward"]
        if flow.place[0] == OFMAP:
            _finish(back, flow, load["finished"])
        inward[load["port"]] = share * load["inward"] * into
        outward[load["port"]] = share * back
    return inward, outward


def _all(parts: list[list[Floats]]) -> list[Floats]:
    """All sums of one of each part that may be the longest."""
    return list(accumulate(parts, lambda a, b: _longest(x + y for x, y in product(a, b))))[-1]


def _longest(sums: Iterable[Floats]) -> list[Floats]:
    """Those of the sums that may be the longest, at least one; not all if they are too many."""
    kept: list[Floats] = []
    flat = np.zeros((0, MONOMIALS + 1))
    for row in sorted(sums, key=lambda row: -float(_flat(row).sum())):
        own = _flat(row)
        if own.any() and not np.any(np.all(flat >= own - ROUNDING * np.abs(own), axis=1)):
            kept.append(row)
            flat = np.vstack((flat, own))
    return kept[:MOST_SUMS] or [np.zeros(SUM)]


def _flat(row: Floats) -> Floats:
    """Factors of monomials, and the constant."""
    return np.append(row[EACH], row[CONST] - row[FIRST].sum())


def _positive(row: Floats) -> tuple[Floats, float]:
    """Factors of monomials and a constant of a sum that is no larger, all of them positive.

    All monomials are at least 1: what is not paid for first visits is taken from each visit, for as
    few monomials as the constant needs.
    """
    each, first = row[EACH].copy(), row[FIRST]
    const = row[CONST] - first.sum()
    for m in np.argsort(-first, kind="stable"):
        if const < 0 and first[m] > 0:
            part = min(1.0, -const / first[m]) * first[m]
            each[m] -= part
            const += part
    return np.maximum(each, 0.0), max(const, 0.0)
