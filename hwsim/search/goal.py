"""The objective as sums of monomials: what words of each of a structure's links cost and take.

Energy is a sum of words, each a monomial times a tensor's words, plus what every nest costs. Cycles
are the longest of many such sums: of those by which `hwsim.latency` finds each port and bus busy,
each link that stalls on its slowest way, and arithmetic between first and last tiles. What skewed
arrays need at starts of the pipeline after the first one is left out, as are first tiles of MACs
that no pad feeds; so cycles are never too many.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from hwsim.hardware import Accelerator
from hwsim.search.clock import BUS, CHILD, PARENT
from hwsim.search.flows import COLLECTED, DELIVERED, OFMAP, READ, WRITTEN, Flow, flows, monomials
from hwsim.search.master import Goal
from hwsim.search.maxima import CONST, EACH, SUM, Floats, added, longest, positive
from hwsim.search.problem import FIRSTS, MONOMIALS, OUTER, lead_tile
from hwsim.search.rates import Rates, rates_of
from hwsim.search.structures import Kept, Structure
from hwsim.workload import TENSORS, Layer

# Numbers of the monomials of each store of a structure.
Numbered = dict[Kept, tuple[int, ...]]
POWERS = {"energy": (1, 0), "cycles": (0, 1), "edp": (1, 1), "ed2p": (1, 2)}


class Spared(NamedTuple):
    """What a goal's energy leaves out: it takes each of a psum's `visits`, a monomial, to spare a
    read from the pad, `pj` for all words, which only the first in each PE does."""

    visits: int
    pj: float


def placed(goal: Goal, spared: Spared, copies: int) -> Goal:
    """A goal where so many PEs, at most, share each psum."""
    more = spared.pj * copies
    if more > goal.energy_const:
        return goal
    energy = goal.energy.copy()
    energy[spared.visits] += spared.pj
    return goal._replace(energy=energy, energy_const=goal.energy_const - more)


class Goals:
    """What is minimised in each structure of a layer on a machine. Those that keep the same tensors
    differ in the numbers of their monomials alone, so that it is made once for all of them."""

    def __init__(self, layer: Layer, machine: Accelerator, objective: str) -> None:
        self.layer, self.macs, self.powers = layer, len(machine.levels), POWERS[objective]
        self.rates = rates_of(layer, machine)
        self.is_timed = self.powers[1] > 0 or self.rates.cycle_pj > 0
        self.known: dict[Any, tuple[Numbered, Goal, Spared]] = {}

    def of(self, structure: Structure) -> tuple[Goal, Spared]:
        """That of one structure, and what it leaves out."""
        own = _numbered(structure)
        risen = None if structure.risen is None else structure.outer[structure.risen]
        leads = tuple(lead_tile(structure, tensor) >= 0 for tensor in TENSORS)
        alike = frozenset(structure.outer), frozenset(structure.inner), risen, leads
        if alike not in self.known:
            self.known[alike] = own, *self._made(structure)
        numbered, found, spared = self.known[alike]
        order = np.arange(MONOMIALS)
        for kept, numbers in own.items():
            order[list(numbers)] = numbered[kept]
        found = found._replace(energy=found.energy[order], busy=found.busy[:, order])
        visits = int(np.flatnonzero(order == spared.visits)[0])
        return found, spared._replace(visits=visits)

    def _made(self, structure: Structure) -> tuple[Goal, Spared]:
        powers, rates = self.powers, self.rates
        links = flows(self.layer, structure, rates, self.macs)
        sums = _elapsed(links, rates) if self.is_timed else np.zeros((0, SUM))
        if powers[0]:
            energy, energy_const = positive(_energy(links, rates))
        else:
            energy, energy_const = np.zeros(MONOMIALS), 0.0
        busy = [positive(row) for row in sums]
        found = Goal(
            powers=np.array(powers, np.int64),
            energy=energy,
            energy_const=energy_const,
            busy=np.array([each for each, _ in busy]).reshape(len(busy), MONOMIALS),
            busy_const=np.array([const for _, const in busy], float),
            clock=rates.cycle_pj if powers[0] else 0.0,
        )
        return found, _spared(links, rates) if powers[0] else Spared(0, 0.0)


def _spared(links: Iterable[Flow], rates: Rates) -> Spared:
    """What the visits of psums in the pads before the MACs spare of their energy."""
    for flow in links:
        visits = np.flatnonzero(flow.words[READ, EACH] < 0)
        if visits.size:
            at = int(visits[0])
            return Spared(at, -float((rates.pj[flow.place] @ flow.words)[at]))
    return Spared(0, 0.0)


def _numbered(structure: Structure) -> Numbered:
    """The monomials of each store: its words together, summed, and those of its first tile."""
    return {
        kept: (together, summed, FIRSTS + together) if together < OUTER else (together, summed)
        for kept, together, summed in monomials(structure)
    }


def _energy(links: Iterable[Flow], rates: Rates) -> Floats:
    """The sum of all energy but for that of cycles."""
    found = np.zeros(SUM)
    found[CONST] = rates.arithmetic_pj
    for flow in links:
        found += rates.pj[flow.place] @ flow.words
        if flow.place[:2] == (OFMAP, 0):
            _finish(found, flow, rates.finished_pj)
    return found


def _finish(total: Floats, flow: Flow, more: float) -> None:
    """Adds what finished words take more than others: if less, at most what all words take."""
    written = np.flatnonzero(flow.words[WRITTEN, EACH])
    if more < 0 and written.size:
        total[MONOMIALS + written[0]] -= more
    else:
        total[CONST] += more


class _Side(NamedTuple):
    """Cycles of links that do not stall, above the PEs or within them, as sums by port [port, SUM]:
    of first tiles inwards, of all inwards, and of what passes beside; `outward`: of what leaves.
    `tails` [link]: alternatives [sum, SUM] of last tiles outwards. `stalls` [link]: likewise, of
    links that stall."""

    leads: Floats
    inward: Floats
    beside: Floats
    outward: list[Floats]
    tails: list[Floats]
    stalls: list[Floats]


def _side(ports: int) -> _Side:
    """No links yet."""
    leads, inward, beside = np.zeros((3, ports, SUM))
    return _Side(leads, inward, beside, [], [], [])


def _elapsed(links: Iterable[Flow], rates: Rates) -> Floats:
    """Sums [sum, SUM] of which cycles are at least the largest: `latency.elapsed`, its maxima
    resolved."""
    outer, inner = _side(rates.timing.ports), _side(rates.timing.ports)
    for flow in links:
        link = rates.timing.links[flow.place]
        ways = _ways(flow, rates)
        if link["into_pe"]:
            outer.beside[:] += ways.sum(axis=0)
        side = inner if link["into_pe"] else outer
        if link["stalls"]:
            side.stalls.append(added(longest(way) for way in ways))
            continue
        waited = _waited(flow, rates)
        if flow.place[0] == OFMAP:
            side.outward.append(ways.sum(axis=0))
            side.tails.append(longest(waited))
        else:
            side.inward[:] += ways[0]
            side.leads[:] += waited
    start = np.zeros((1, SUM))
    start[0, CONST] = rates.timing.skew
    pes = added([*inner.stalls, start, _span(rates.arithmetic[None], inner)])
    return added([*outer.stalls, _span(pes, outer)])


def _span(work: Floats, side: _Side) -> Floats:
    """`latency._span`: at a port that nothing passes inwards, or a link outwards, the first or last
    tiles at others count; at one that something passes, these are taken to be fewer."""
    leads = longest(side.leads)
    rows = [added([leads, work, *side.tails])]
    for port, (inward, beside) in enumerate(zip(side.inward, side.beside, strict=True)):
        parts = [inward[None] if inward.any() else leads, beside[None]]
        for way, tails in zip(side.outward, side.tails, strict=True):
            parts.append(way[port][None] if way[port].any() else tails)
        if inward.any() or beside.any() or any(way[port].any() for way in side.outward):
            rows.append(added(parts))
    found: Floats = longest(np.concatenate(rows))
    return found


def _ways(flow: Flow, rates: Rates) -> Floats:
    """Cycles of each port inwards and outwards [2, port, SUM]."""
    link, found = rates.timing.links[flow.place], np.zeros((2, rates.timing.ports, SUM))
    for load in rates.timing.loads[link["begin"] : link["end"]]:
        below = load["side"] not in (PARENT, BUS)
        within = load["side"] != BUS and flow.within[below]
        share = 1.0 / rates.places if within else 1.0
        into = flow.words[DELIVERED] if below else flow.read_back
        back = flow.words[COLLECTED if below else WRITTEN] * load["outward"]
        if flow.place[0] == OFMAP:
            _finish(back, flow, load["finished"])
        found[:, load["port"]] = share * load["inward"] * into, share * back
    return found


def _waited(flow: Flow, rates: Rates) -> Floats:
    """Cycles of each port for first tiles inwards, or last ones outwards [port, SUM]; half of the
    psums that PEs finish one by one have left before."""
    link, found = rates.timing.links[flow.place], np.zeros((rates.timing.ports, SUM))
    for load in rates.timing.loads[link["begin"] : link["end"]]:
        if load["side"] == CHILD or flow.within[0]:
            continue
        each = load["inward"]
        if flow.place[0] == OFMAP:
            each = load["last"] * (0.5 if link["into_pe"] else 1.0)
        found[load["port"]] = each * flow.waited
    return found
