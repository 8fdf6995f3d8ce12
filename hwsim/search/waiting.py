"""The best mapping on machines whose PEs skip zeros, where lanes wait for each other.

How long they wait takes long to count. Of nests that cost the same, were zeros even, the search
knows one, which as a rule keeps tiles as small as can be; but lanes wait where a tile of
`mac.sync_level` changes. So nests are changed until they are estimated to wait least, and those
that then promise most are counted.
"""

from collections.abc import Callable, Iterator
from heapq import heappop, heappush
from math import inf

from hwsim.constraints import admits
from hwsim.cost import cost
from hwsim.found import Found, Question
from hwsim.hardware import Accelerator
from hwsim.mapping import Loop, Mapping, Node, Store, overflow
from hwsim.objective import value
from hwsim.search.judging import COST, Judge
from hwsim.search.problem import tile_sizes
from hwsim.skipping import estimated_cycles
from hwsim.workload import Layer

# What counting takes of the effort besides, and for each product.
LOOK, LOOKS = 4000, 1e-3
# The share of the effort that judging takes at most while the search goes on.
SHARE = 0.5
# Mappings counted in vain after which none better is expected.
TIRED = 30


class PatientJudge(Judge):
    """A judge who counts how long lanes wait in the mappings that promise most alone."""

    def __init__(self, question: Question, layer: Layer, start: Found | None) -> None:
        super().__init__(question, layer, start)
        self.looking = COST + LOOK + int(LOOKS * layer.operations)
        self.drafts: list[tuple[float, int, Mapping]] = []
        self.record, self.drafted = inf, 0

    def go_on(self, effort: float) -> None:
        """Drafts what promises most, within a share of what is spent, `effort` of it on all else;
        counts what promises more than all before."""
        while self.promises() and (not self.best or self.spent < effort * SHARE / (1 - SHARE)):
            self._draft()
            if self.drafts and (self.drafts[0][0] < self.record or not self.best):
                self.record = self.drafts[0][0]
                self._count()

    def finish(self, goes_on: Callable[[], bool]) -> None:
        """Counts what is left, the best first, while the search may go on and there is hope."""
        while self.promises() and goes_on():
            self._draft()
        vain = 0
        while self.drafts and vain < TIRED and goes_on():
            known = self.value
            self._count()
            vain = 0 if self.value < known else vain + 1

    def _draft(self) -> None:
        """Writes down the nest that promises most, and what it is where lanes wait least."""
        for mapping in self.written():
            worth = {each: self._estimate(each) for each in self._outwards(mapping)}
            for each in {mapping: None, min(worth, key=lambda each: worth[each]): None}:
                self.drafted += 1
                heappush(self.drafts, (worth[each], self.drafted, each))

    def _outwards(self, mapping: Mapping) -> Iterator[Mapping]:
        """The mapping, and those that the constraints admit in which lanes wait less often."""
        layer, asked = self.layer, self.question
        for each in outwards(mapping, layer, asked.machine):
            if admits(asked.constraints, each, layer, asked.machine):
                yield each

    def _estimate(self, mapping: Mapping) -> float:
        """What a mapping may come to."""
        self.spent += COST
        found = cost(self.layer, mapping, self.question.machine, arithmetic=estimated_cycles)
        return value(self.question.objective, found.energy_pj, found.cycles)

    def _count(self) -> None:
        """Judges the draft that promises most."""
        self.spent += self.looking - COST
        self.take(heappop(self.drafts)[-1])


def outwards(mapping: Mapping, layer: Layer, machine: Accelerator) -> Iterator[Mapping]:
    """The mapping, and those in which the last stores of the machine's `sync_level` lie farther and
    farther outwards, as long as its tiles fit."""
    following: Mapping | None = mapping
    while following:
        yield following
        farther = _farther(following, layer, machine.mac.sync_level)
        following = next((each for each in farther if not overflow(each, layer, machine)), None)


def _farther(mapping: Mapping, layer: Layer, level: str) -> Iterator[Mapping]:
    """The mapping with its last stores of a level before the loop that they come after, or within
    that loop cut in two, the largest tiles first."""
    nodes = mapping.nodes
    stores = {
        at for at, node in enumerate(nodes) if isinstance(node, Store) and node.level == level
    }
    begin = end = max(stores, default=-1) + 1
    while begin - 1 in stores:
        begin -= 1
    loop, moved = nodes[begin - 1], nodes[begin:end]
    if not begin or not isinstance(loop, Loop) or loop.axis:
        return
    before, after = nodes[: begin - 1], (loop, *nodes[end:])
    yield Mapping((*before, *moved, *after))
    for tile in _cuts(before, layer, loop):
        yield Mapping((*before, Loop(loop.dim, tile), *moved, *after))


def _cuts(before: tuple[Node, ...], layer: Layer, loop: Loop) -> Iterator[int]:
    """Tiles that a loop can be cut at, largest first."""
    outer = [node.tile for node in before if isinstance(node, Loop) and node.dim == loop.dim]
    whole = min([layer.bounds[loop.dim], *outer])
    return (tile for tile in tile_sizes(whole) if loop.tile < tile < whole)
