"""Choose one state of each item, so that linked items agree and budgets hold: an integer program.

A state says what it costs and what it makes of each link that it takes part in: which rate its
channels were pruned at, how wide the words are that it reads or hands on. Items that share a link
must say the same of it. A link may also be the largest of others: what a layer hands on is as wide
as its widest reader needs. Solved by branch and bound (HiGHS, through `scipy.optimize.milp`): an
answer is the best of all, as long as costs add up, or is known to miss that by no more than a gap.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array

Value: TypeAlias = Any  # of one link: all numbers, or all texts
# Budgets hold to this share of themselves: what HiGHS takes for an integer is one to a millionth.
TOLERANCE = 1e-6


@dataclass(frozen=True)
class State:
    """One way that an item can be: its cost in each quantity, what it says of its links, and what
    it stands for."""

    costs: Mapping[str, float]
    links: Mapping[str, Value] = field(default_factory=dict)
    label: object = None


@dataclass(frozen=True)
class Problem:
    """Items with their states, and links whose value is the largest of other links' values."""

    items: Mapping[str, Sequence[State]]
    maxima: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @cached_property
    def values(self) -> dict[str, tuple[Value, ...]]:
        """All that is said of each link."""
        found: dict[str, dict[Value, None]] = {}
        for states in self.items.values():
            for state in states:
                for link, value in state.links.items():
                    found.setdefault(link, {})[value] = None
        return {link: tuple(sorted(said)) for link, said in found.items()}

    def total(self, chosen: Mapping[str, State], quantity: str) -> float:
        """The sum of a quantity over a choice."""
        return sum(chosen[name].costs.get(quantity, 0.0) for name in self.items)

    def agrees(self, chosen: Mapping[str, State]) -> bool:
        """Whether all that take part in a link say the same of it, maxima included."""
        said: dict[str, Value] = {}
        for state in chosen.values():
            for link, value in state.links.items():
                if said.setdefault(link, value) != value:
                    return False
        return all(
            said[link] == max(said[each] for each in parts) for link, parts in self.maxima.items()
        )


Choice = dict[str, State]
Ban = Mapping[str, object]  # a choice by its labels, or part of one


@dataclass(eq=False)
class Solver:
    """Solves programs one by one, each within so many nodes of its tree and seconds.

    A program that is stopped gives the best choice so far, and `gaps` gets the share of that by
    which it may miss the optimum, or 1 where there was none yet. Nodes stop first, as they are the
    same on any machine.
    """

    most_nodes: int = 20_000
    most_s: float = 120.0
    gaps: list[float] = field(default_factory=list)

    def __call__(
        self,
        problem: Problem,
        objective: Mapping[str, float],
        *,
        budgets: Mapping[str, float] | None = None,
        banned: Iterable[Ban] = (),
    ) -> Choice | None:
        """The choice of least weighted sum of quantities whose `budgets` hold; None if none does.

        No choice has all labels of one that is `banned`.
        """
        program = _Program(problem)
        rows = [*program.one_of_each(), *program.agreement(), *program.largest()]
        rows += [program.budget(quantity, most) for quantity, most in (budgets or {}).items()]
        rows += [program.other_than(ban) for ban in banned]
        found = milp(
            program.weights(objective),
            constraints=_constraint(rows, program.width),
            integrality=np.ones(program.width),
            bounds=Bounds(0, 1),
            options={
                "mip_rel_gap": 0.0,
                "node_limit": self.most_nodes,
                "time_limit": self.most_s,
            },
        )
        if found.status not in FINISHED:
            self.gaps.append(1.0 if found.x is None else min(float(found.mip_gap), 1.0))
        return None if found.x is None else program.choice(found.x)


FINISHED = (0, 2)  # of what `milp` says: optimal, infeasible


@dataclass(frozen=True)
class _Row:
    """`low` <= sum of coefficients x variables <= `high`."""

    entries: Mapping[int, float]
    low: float
    high: float


class _Program:
    """Variables: a binary one for each state, then one for each value of each link."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.states = [(name, state) for name, states in problem.items.items() for state in states]
        self.column = {
            (link, value): len(self.states) + number
            for number, (link, value) in enumerate(
                (link, value) for link, said in problem.values.items() for value in said
            )
        }

    @property
    def width(self) -> int:
        """How many variables there are."""
        return len(self.states) + len(self.column)

    def one_of_each(self) -> Iterator[_Row]:
        """Each item is in one state."""
        places = self.places()
        for name in self.problem.items:
            yield _Row(dict.fromkeys(places.get(name, ()), 1.0), 1, 1)

    def places(self) -> dict[str, list[int]]:
        """The columns of each item."""
        found: dict[str, list[int]] = {}
        for place, (name, _) in enumerate(self.states):
            found.setdefault(name, []).append(place)
        return found

    def agreement(self) -> Iterator[_Row]:
        """An item's states that say a value of a link are chosen as often as the value is."""
        sums: dict[tuple[str, str, Value], dict[int, float]] = {}
        for place, (name, state) in enumerate(self.states):
            for link in state.links:
                for value in self.problem.values[link]:
                    sums.setdefault((name, link, value), {self.column[link, value]: -1.0})
                sums[name, link, state.links[link]][place] = 1.0
        for entries in sums.values():
            yield _Row(entries, 0, 0)

    def largest(self) -> Iterator[_Row]:
        """A maximum is no less than any of its parts, and no more than all of them."""
        for link, parts in self.problem.maxima.items():
            cuts = sorted({v for each in (link, *parts) for v in self.problem.values[each]})
            for cut in cuts:
                below = self.said(link, cut, above=False)
                for part in parts:
                    yield _Row(_minus(below, self.said(part, cut, above=False)), -np.inf, 0)
                over: dict[int, float] = {}
                for part in parts:
                    over |= self.said(part, cut, above=True)
                yield _Row(_minus(self.said(link, cut, above=True), over), -np.inf, 0)

    def said(self, link: str, cut: Value, *, above: bool) -> dict[int, float]:
        """The values of a link that are at least, or at most, the cut."""
        return {
            self.column[link, value]: 1.0
            for value in self.problem.values[link]
            if (value >= cut if above else value <= cut)
        }

    def budget(self, quantity: str, most: float) -> _Row:
        """A quantity's sum, as a share of the most that is allowed."""
        scale = abs(most) or max(map(abs, self.costs(quantity)), default=0) or 1.0
        entries = {place: cost / scale for place, cost in enumerate(self.costs(quantity)) if cost}
        return _Row(entries, -np.inf, most / scale)

    def costs(self, quantity: str) -> list[float]:
        """The quantity of every state."""
        return [state.costs.get(quantity, 0.0) for _, state in self.states]

    def other_than(self, ban: Ban) -> _Row:
        """Not all items have the labels of the ban."""
        places = {
            place: 1.0
            for place, (name, state) in enumerate(self.states)
            if name in ban and state.label == ban[name]
        }
        return _Row(places, -np.inf, len(ban) - 1)

    def choice(self, values: NDArray[np.float64]) -> Choice:
        """The states that are chosen."""
        return dict(self.states[place] for place in range(len(self.states)) if values[place] > 0.5)

    def weights(self, objective: Mapping[str, float]) -> NDArray[np.float64]:
        """What each variable adds to the objective, the largest of them 1."""
        weights = np.zeros(self.width)
        for quantity, weight in objective.items():
            weights[: len(self.states)] += weight * np.array(self.costs(quantity))
        return weights / (np.abs(weights).max() or 1.0)


def _minus(some: Mapping[int, float], others: Mapping[int, float]) -> dict[int, float]:
    found = dict(some)
    for place, value in others.items():
        found[place] = found.get(place, 0.0) - value
    return found


def _constraint(rows: Sequence[_Row], width: int) -> LinearConstraint:
    entries = [
        (number, place, value)
        for number, row in enumerate(rows)
        for place, value in row.entries.items()
    ]
    where, places, values = zip(*entries, strict=True)
    matrix = csr_array((values, (where, places)), shape=(len(rows), width))
    return LinearConstraint(matrix, [row.low for row in rows], [row.high for row in rows])
