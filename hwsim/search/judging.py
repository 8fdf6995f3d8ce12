"""Nests that a search has found, judged by what their mappings cost, and the best of these."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from heapq import heappop, heappush
from math import inf, log

import numpy as np
from numpy.typing import NDArray

from hwsim.cost import cost
from hwsim.found import Found, Question, judged
from hwsim.mapping import Mapping
from hwsim.objective import value
from hwsim.search.parts import Part
from hwsim.search.realise import mappings
from hwsim.search.structures import Structure
from hwsim.workload import Layer

Ints = NDArray[np.int64]
# What the cost of a mapping takes of the effort.
COST = 1000


class Judge:
    """The best mapping so far, and nests that promise to be better. `spent`: effort; `tried`:
    mappings."""

    def __init__(self, question: Question, layer: Layer, start: Found | None) -> None:
        self.question, self.layer, self.best = question, layer, start
        self.tried, self.spent = start.evaluated if start else 0, 0
        self.known = set[tuple[Structure, bytes]]()
        self.waiting: list[tuple[float, int, Structure, Ints]] = []

    @property
    def value(self) -> float:
        """What the best mapping comes to."""
        return self.best.value if self.best else inf

    @property
    def limit(self) -> float:
        """Its logarithm."""
        return log(self.value)

    def note(self, part: Part) -> None:
        """Takes over the nests of a part that may be better."""
        for reached, leaf in part.leaves:
            known = part.job.structure, leaf.tobytes()
            if reached < self.value and known not in self.known:
                self.known.add(known)
                heappush(self.waiting, (reached, len(self.known), part.job.structure, leaf))
        part.leaves.clear()

    def go_on(self, effort: float) -> None:
        """Judges nests, best first, after so much `effort` for all else."""
        del effort  # costs take little of it
        while self.promises():
            for mapping in self.written():
                self.take(mapping)

    def finish(self, goes_on: Callable[[], bool]) -> None:
        """Judges what is left, while the search may go on."""

    def promises(self) -> bool:
        """Whether a nest is left that may be better."""
        if self.waiting and self.waiting[0][0] >= self.value:
            self.waiting.clear()
        return bool(self.waiting)

    def written(self) -> Iterator[Mapping]:
        """The mappings of the nest that promises most."""
        _, _, structure, leaf = heappop(self.waiting)
        asked = self.question
        return mappings(self.layer, asked.machine, structure, leaf, asked.constraints)

    def take(self, mapping: Mapping) -> None:
        """Costs a mapping, and keeps it if it is the best."""
        asked = self.question
        self.tried += 1
        self.spent += COST
        found = cost(self.layer, mapping, asked.machine)
        reached = value(asked.objective, found.energy_pj, found.cycles)
        if self.best is None:
            self.best = judged(self.layer, asked.machine, asked.objective, (mapping, found))
        elif reached < self.best.value:
            self.best = replace(self.best, mapping=mapping, cost=found, value=reached)
