"""The best mapping of a layer over the whole space, with a lower bound on all others.

Every nest has a form that costs no more: stores rise past the loops that their tensors lack and
sink past those that they have (`search.structures`). Of each such structure a Lagrangian relaxation
says what its nests cost at least (`search.dual`), and those whose bound is not above the best known
are walked through (`search.walk`). The bounds take tiles to be even and leave out the first and
last tiles' wait; mappings found are judged by `hwsim.cost`, and what lies between is the gap.
"""

from collections.abc import Iterable
from dataclasses import replace
from heapq import heappop, heappush
from math import exp, inf, log
from time import perf_counter
from typing import Any

from hwsim.constraints import FREE
from hwsim.cost import cost
from hwsim.dataflow import accumulated, within_dataflow
from hwsim.found import Found, Question
from hwsim.mapping import Mapping
from hwsim.objective import value
from hwsim.search.jobs import FIRST_ROUNDS, MORE_ROUNDS, Job, jobs
from hwsim.search.problem import INNER, OUTER, numbers
from hwsim.search.realise import mappings
from hwsim.search.structures import most_stores

# A walk goes so far above a structure's bound, as a logarithm, and so much further each time.
FIRST_SLACK, FASTER = 0.004, 1.8
# What the first walk through a structure may take, which looks for any mapping better than the
# best, and how far above the bound it goes, as a logarithm.
DIVE, DEPTH = 30_000, 0.08


def best(question: Question) -> Found:
    """The best mapping that is found by trying `question.effort` options, and a lower bound on all
    mappings; the dataflow's best where the question goes beyond the search.

    Raises MappingError, InputError.
    """
    start = within_dataflow(question)
    if not question.effort or not _searchable(question):
        return start
    return _Search(question, start).found()


def _searchable(question: Question) -> bool:
    """Whether the search knows what the question asks for."""
    layer, machine = question.layer, question.machine
    above, within = most_stores(machine, layer.tensors)
    return (
        layer.weighted
        and not machine.mac.zero_skipping
        and len(machine.arrays) <= 1
        and above <= OUTER
        and within <= INNER
        and question.constraints == FREE
        and question.max_cycles is None
    )


class _Search:
    """One question's search, and the best mapping so far."""

    def __init__(self, question: Question, start: Found) -> None:
        self.began = perf_counter() - start.seconds
        self.question, self.best = question, start
        self.layer = accumulated(question.layer, question.machine)
        self.sized = numbers(self.layer, question.machine)
        self.effort, self.tried = question.effort, start.evaluated

    def found(self) -> Found:
        """The best mapping when the effort is spent, or the gap closed."""
        queue = self._bounded()
        while queue and self.effort > 0 and queue[0][0] < self._limit():
            _, at, job = heappop(queue)
            if job.closed:
                heappush(queue, (job.least, at, job))
                break
            self._turn(job, queue[0][0] if queue else inf)
            heappush(queue, (job.least, at, job))
        least = exp(queue[0][0]) if queue else 0.0
        return replace(
            self.best,
            lower_bound=min(max(least, self.best.lower_bound), self.best.value),
            evaluated=self.tried,
            seconds=perf_counter() - self.began,
        )

    def _limit(self) -> float:
        return log(self.best.value)

    def _bounded(self) -> list[tuple[float, int, Job]]:
        """Every structure, that with the lowest bound first."""
        known: dict[Any, float] = {}
        queue: list[tuple[float, int, Job]] = []
        for at, job in enumerate(jobs(self.layer, self.question.machine, self.question.objective)):
            job.learn(known)
            self.effort -= job.raise_bound(self.sized, self._limit(), FIRST_ROUNDS)
            job.teach(known)
            heappush(queue, (job.least, at, job))
        return queue

    def _turn(self, job: Job, others: float) -> None:
        """Raises the bound of the structure that has the lowest one, or walks through its nests as
        far as the next lowest, and a little further each time."""
        job.turns += 1
        effort, limit = self.effort, self._limit()
        if job.turns == 1:
            self.effort -= job.raise_bound(self.sized, limit, MORE_ROUNDS) + 1
            return
        if job.turns == 2:
            effort, limit = min(effort, DIVE), min(limit, job.least + DEPTH)
        else:
            limit = min(max(others, job.least + FIRST_SLACK * FASTER ** (job.turns - 3)), limit)
        self.effort -= job.close(self.sized, limit, effort) + 1
        self._judge(job)

    def _judge(self, job: Job) -> None:
        """Writes down the nests that were found, best first, while one may be the best of all."""
        for reached, leaf in reversed(job.leaves):
            if reached >= self.best.value:
                break
            self._take(mappings(self.layer, self.question.machine, job.structure, leaf))
        job.leaves.clear()

    def _take(self, candidates: Iterable[Mapping]) -> None:
        for mapping in candidates:
            self.tried += 1
            judged = cost(self.layer, mapping, self.question.machine)
            reached = value(self.question.objective, judged.energy_pj, judged.cycles)
            if reached < self.best.value:
                self.best = replace(self.best, mapping=mapping, cost=judged, value=reached)
