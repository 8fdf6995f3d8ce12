"""An evolutionary search of the same program, to see that the optimum is not beaten.

A genome says what each layer would like, a candidate, and what each group of channels keeps; what a
layer cannot have beside its group's rate, or beside its neighbours' words, is mended to the nearest
that it can. Tournaments of two, uniform crossover, one mutation in expectation, the best survive.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from random import Random
from typing import Any

import networkx

from compressors.codesign._goal import Goal
from compressors.codesign._program import Choice, Problem, State

POPULATION, GENERATIONS = 40, 60
PENALTY = 1e3  # of the excess of a budget, in shares of itself, against an objective of 1

Genome = tuple[int, ...]


@dataclass(eq=False)
class Evolution:
    """A population of choices of a goal's problem under budgets; `evaluations` counts them."""

    goal: Goal
    budgets: Mapping[str, float]
    seed: int = 0
    evaluations: int = 0
    known: dict[Genome, tuple[float, Choice | None]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.draw = Random(self.seed)
        self.order = parts_first(self.goal.problem)
        self.scale = 1.0

    def run(self) -> float | None:
        """The best objective of a choice that holds all budgets; None where none was found."""
        population = [self.random() for _ in range(POPULATION)]
        values = [abs(value) for value in map(self.objective, population) if isfinite(value)]
        self.scale = max(values, default=0.0) or 1.0
        for _ in range(GENERATIONS):
            children = [self.child(population) for _ in range(POPULATION)]
            population = sorted({*population, *children}, key=self.fitness)[:POPULATION]
        held = [genome for genome in self.known if self.holds(genome)]
        return min(map(self.objective, held), default=None)

    def random(self) -> Genome:
        """A state for each item, at random."""
        return tuple(self.draw.randrange(len(states)) for states in self.states())

    def states(self) -> Sequence[Sequence[State]]:
        """The states of each item in order."""
        return [self.goal.problem.items[name] for name in self.order]

    def child(self, population: Sequence[Genome]) -> Genome:
        """Two parents' genes mixed, one changed."""
        mother, father = (
            min(self.draw.sample(population, 2), key=self.fitness) for _ in range(2)
        )
        genes = [self.draw.choice(pair) for pair in zip(mother, father, strict=True)]
        for place, states in enumerate(self.states()):
            if self.draw.random() < 1 / len(genes):
                genes[place] = self.draw.randrange(len(states))
        return tuple(genes)

    def choice(self, genome: Genome) -> Choice | None:
        """The choice nearest to the genome whose links agree."""
        return self.looked_up(genome)[1]

    def objective(self, genome: Genome) -> float:
        """What the goal makes of it; infinite where nothing agrees."""
        return self.looked_up(genome)[0]

    def looked_up(self, genome: Genome) -> tuple[float, Choice | None]:
        """Objective and choice, found once."""
        if genome not in self.known:
            self.evaluations += 1
            wanted = {
                name: states[gene]
                for name, states, gene in zip(self.order, self.states(), genome, strict=True)
            }
            choice = mended(self.goal.problem, wanted, self.order)
            value = float("inf") if choice is None else self.goal.value(choice)
            self.known[genome] = value, choice
        return self.known[genome]

    def fitness(self, genome: Genome) -> float:
        """The objective, and much more for every budget exceeded; less is better."""
        value, choice = self.looked_up(genome)
        return value / self.scale + (PENALTY * self.excess(choice) if choice else 0.0)

    def excess(self, choice: Choice) -> float:
        """By how much budgets are exceeded, in shares of themselves."""
        total = self.goal.problem.total
        return sum(
            max(0.0, total(choice, name) - most) / (most or 1.0)
            for name, most in self.budgets.items()
        )

    def holds(self, genome: Genome) -> bool:
        """Whether all budgets hold."""
        choice = self.choice(genome)
        return choice is not None and self.excess(choice) <= 0.0


def mended(problem: Problem, wanted: Choice, order: Sequence[str]) -> Choice | None:
    """The wanted states, each moved to another of its label, or of any, that agrees with the rest.

    Links take what the first item in `order` says of them; a maximum follows its parts.
    """
    said: dict[str, Any] = {}
    chosen: Choice = {}
    for name in order:
        for link, parts in problem.maxima.items():
            if link not in said and all(part in said for part in parts):
                said[link] = max(said[part] for part in parts)
        state = _nearest(problem.items[name], wanted[name], said)
        if state is None:
            return None
        chosen[name] = state
        said |= state.links
    return {name: chosen[name] for name in problem.items} if problem.agrees(chosen) else None


def parts_first(problem: Problem) -> list[str]:
    """Items in an order in which what a maximum is made of is said before it is needed."""
    sayers: dict[str, set[str]] = {}
    for name, states in problem.items.items():
        for link in states[0].links:
            sayers.setdefault(link, set()).add(name)
    before: dict[str, set[str]] = {name: set() for name in problem.items}
    for link, parts in problem.maxima.items():
        for user in sayers.get(link, ()):
            before[user] |= {s for part in parts for s in sayers[part] if s != user}
    graph = networkx.DiGraph()
    graph.add_nodes_from(before)
    graph.add_edges_from((first, name) for name, found in before.items() for first in found)
    place = {name: number for number, name in enumerate(before)}
    return list(networkx.lexicographical_topological_sort(graph, key=place.__getitem__))


def _nearest(
    states: Sequence[State], wanted: State, said: Mapping[str, Any]
) -> State | None:
    """A state that agrees with what was said: the wanted one, one of its label, or the first."""
    fitting = [s for s in states if all(said.get(k, v) == v for k, v in s.links.items())]
    if any(state is wanted for state in fitting):
        return wanted
    return next((s for s in fitting if s.label == wanted.label), fitting[0] if fitting else None)
