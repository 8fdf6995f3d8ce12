"""Energy of a layer from the words of its links: `hwsim.cost`, compiled for an inner loop.

Nothing here knows what a memory or a wire costs. `prices` asks `hwsim.cost` once about one word of
every link between two levels; all energy is in proportion to words, operations and cycles, so that
`energy_pj` only adds up. Numbers of tensors and levels, and columns, are those of
`hwsim.search.clock`.
"""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from hwsim._compiled import compiled
from hwsim.cost import arithmetic_pj, transfer_pj
from hwsim.hardware import Accelerator
from hwsim.search.clock import Floats, Ints, links_shape, possible_links
from hwsim.traffic import Transfer
from hwsim.workload import Layer


class Prices(NamedTuple):
    """What words and cycles cost, for a layer on a machine, in pJ.

    `word_pj` [tensor, parent, child, 4]: of a word read, written, delivered and collected; nan
    where there is no such link. A written word may cost less than nothing: collected psums pay for
    the wires of all but those that are written. `finished_pj` [tensor, parent, child]: what all
    finished words of an ofmap cost more than psums. `arithmetic_pj`: of all operations. `cycle_pj`:
    of a cycle, for the clock and leakage.
    """

    word_pj: Floats
    finished_pj: Floats
    arithmetic_pj: float
    cycle_pj: float


def prices(layer: Layer, machine: Accelerator) -> Prices:
    """The prices of a layer, as it is given, on a machine."""
    shape = links_shape(machine)
    word_pj, finished_pj = np.full((*shape, 4), np.nan), np.full(shape, np.nan)
    for place, move in possible_links(layer, machine):
        *words, last = (_pj(layer, machine, (one,)) for one in _ones(move))
        word_pj[place], finished_pj[place] = words, move.finished * last
    return Prices(
        word_pj, finished_pj, arithmetic_pj(layer, machine), _pj(layer, machine, (), cycles=1)
    )


def _ones(move: Transfer) -> tuple[Transfer, ...]:
    """The transfer of one word by each column alone, and of what makes a psum a finished one."""
    link = replace(move.link, reads=0, writes=0, delivered=0, collected=0)
    none = replace(move, link=link, finished=0)
    return (
        replace(none, link=replace(link, reads=1)),
        replace(none, link=replace(link, writes=1)),
        replace(none, link=replace(link, delivered=1)),
        replace(none, link=replace(link, collected=1)),
        replace(none, finished=1),
    )


def _pj(
    layer: Layer, machine: Accelerator, moves: tuple[Transfer, ...], *, cycles: int = 0
) -> float:
    return sum(transfer_pj(layer, machine, moves, cycles).values())


@compiled()
def energy_pj(
    prices: Prices,
    count: int,
    tensors: Ints,
    parents: Ints,
    children: Ints,
    words: Floats,
    cycles: float,
) -> Any:
    """Energy of a layer whose first `count` links move `words`, over so many `cycles`, begun ones
    counted whole (`hwsim.search.clock.whole`).

    Links and their words as for `hwsim.search.clock.cycles`.
    """
    energy = prices.arithmetic_pj + cycles * prices.cycle_pj
    for at in range(count):
        place = tensors[at], parents[at], children[at]
        energy += prices.finished_pj[place]
        for column in range(4):
            energy += words[at, column] * prices.word_pj[place][column]
    return energy
