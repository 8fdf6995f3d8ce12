"""Words of each of a structure's links, as sums of monomials.

A psum is read back but on its first visit: n visits are n - 1 reads. Logarithms of sums need what
is constant in them to be positive, and n >= 1, so that A n - B >= (A - B) n where that is needed.
"""

from typing import NamedTuple

import numpy as np

from hwsim.search.maxima import CONST, SUM, Floats
from hwsim.search.problem import FIRSTS, INNER, LEADS, MACS, MONOMIALS, OUTER, RISEN, lead_tile
from hwsim.search.rates import Rates
from hwsim.search.structures import Kept, Structure
from hwsim.workload import TENSORS, Layer

OFMAP = TENSORS.index("ofmap")
# Columns of a link's words; the last are psums that pass no neighbour, being the first to come.
READ, WRITTEN, DELIVERED, COLLECTED, ALONE = range(5)


class Flow(NamedTuple):
    """A link of a structure: its place in the tables, whether its ends lie within the array, and
    sums of its words by column; `read_back`: those that pass a port inwards, at least; `waited`:
    those of first or last tiles, that arithmetic waits for."""

    place: tuple[int, int, int]
    within: tuple[bool, bool]
    words: Floats
    read_back: Floats
    waited: Floats


def monomials(structure: Structure) -> list[tuple[Kept, int, int]]:
    """Of each store the monomials of its words together and summed."""
    outer = enumerate(structure.outer)
    above = [(kept, k, RISEN if k == structure.risen else k) for k, kept in outer]
    within = ((kept, OUTER + j, OUTER + INNER + j) for j, kept in enumerate(structure.inner))
    return [*above, *within]


def flows(layer: Layer, structure: Structure, rates: Rates, macs: int) -> list[Flow]:
    """Every link of a structure; `macs`: the MACs' number among levels."""
    places = sorted(monomials(structure), key=lambda place: place[0].level)
    found = []
    for t, tensor in enumerate(TENSORS):
        if tensor not in layer.tensors:
            continue
        parent, last, lead = 0, -1, lead_tile(structure, tensor) >= 0
        for kept, together, summed in places:
            if kept.tensor == tensor:
                flow = _to_store(t, parent, kept, together, summed, rates)
                _wait(flow, LEADS + t if lead else -1, together, rates)
                found.append(flow)
                parent, last = kept.level, summed
        found.append(_to_macs(t, parent, macs, last, rates))
    return found


def _to_store(t: int, parent: int, kept: Kept, together: int, summed: int, rates: Rates) -> Flow:
    """Words between two stores; those within PEs read back each psum at least never."""
    within = parent >= rates.split, kept.level >= rates.split
    words, base = np.zeros((5, SUM)), rates.words[t]
    once = summed if within[0] else together
    words[READ, once] = words[DELIVERED, summed] = base
    if t == OFMAP:
        words[WRITTEN, once] = words[COLLECTED, summed] = base
        words[DELIVERED] = words[READ]
        words[READ, MONOMIALS + once] = words[DELIVERED, MONOMIALS + once] = base
        words[ALONE, summed], words[ALONE, MONOMIALS + summed] = 0.0, -base
        if within[0]:
            words[[READ, DELIVERED, ALONE]] = 0.0
    return Flow((t, parent, kept.level), within, words, words[READ], np.zeros(SUM))


def _wait(flow: Flow, lead: int, together: int, rates: Rates) -> None:
    """Fills in the words that arithmetic waits for: of a pad those of the monomial `lead`, or all,
    where it is filled before the pipeline starts; of a buffer its first tile."""
    t = flow.place[0]
    if flow.within == (False, True) and lead < 0:
        flow.waited[:] = flow.words[WRITTEN if t == OFMAP else READ]
    elif flow.within == (False, True):
        flow.waited[lead] = rates.elements[0] if t == 0 else 1.0
    elif flow.within == (False, False):
        flow.waited[FIRSTS + together] = rates.elements[1] if t == 0 else 1.0


def _to_macs(t: int, parent: int, macs: int, last: int, rates: Rates) -> Flow:
    """Words between the MACs and the store above, `last` the monomial of all that it is sent."""
    inside = parent >= rates.split
    words, base = np.zeros((5, SUM)), rates.words[t]
    words[DELIVERED, CONST] = words[READ, CONST] = rates.operands[t]
    read_back = words[READ]
    if t != OFMAP and inside:
        words[READ, CONST] = rates.ifmap_reads if t == 0 else rates.operands[t]
    elif t != OFMAP:
        words[READ, CONST], words[READ, MACS + t] = 0.0, base
    elif inside:
        words[WRITTEN], words[COLLECTED] = words[DELIVERED], words[DELIVERED]
        words[READ, last] = -base
        words[DELIVERED] = words[READ]
        read_back = np.zeros(SUM)
        read_back[CONST] = rates.read_back
    else:
        words[COLLECTED] = words[DELIVERED]
        words[WRITTEN, MACS + t] = base
        words[READ, CONST], words[READ, MACS + t] = 0.0, base
        words[READ, MONOMIALS + MACS + t] = base
        words[DELIVERED] = words[READ]
        words[ALONE, CONST] = base
    return Flow((t, parent, macs), (inside, inside), words, read_back, np.zeros(SUM))
