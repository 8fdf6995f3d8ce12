"""The best mapping of a layer over the whole space, with a lower bound on all others.

Every nest has a form that costs no more: stores rise past the loops that their tensors lack and
sink past those that they have (`search.structures`). Of each such structure a Lagrangian relaxation
says what its nests cost at least (`search.dual`), and those whose bound is not above the best known
are walked through (`search.walk`). The bounds take tiles to be even and leave out the first and
last tiles' wait; mappings found are judged by `hwsim.cost`, and what lies between is the gap.
"""

from collections.abc import Iterable
from dataclasses import replace
from heapq import heapify, heappop, heappush
from math import exp, inf, log
from time import perf_counter
from typing import Any

from hwsim.cost import cost
from hwsim.dataflow import accumulated, within_dataflow
from hwsim.errors import MappingError
from hwsim.found import Found, Question
from hwsim.mapping import Mapping
from hwsim.objective import value
from hwsim.reach import obstacle
from hwsim.search.jobs import FIRST_ROUNDS, MORE_ROUNDS, Job, jobs
from hwsim.search.problem import numbers
from hwsim.search.realise import mappings

# A walk goes so far above a structure's bound, as a logarithm, and so much further each time.
FIRST_SLACK, FASTER = 0.004, 1.8


def best(question: Question) -> Found:
    """The best mapping that is found by trying `question.effort` options or in `question.budget_s`,
    no worse than the dataflow's, and a lower bound on all mappings.

    Raises MappingError where the dataflow has none, or where the question goes beyond the search;
    `hwsim.tradeoff` answers those with `max_cycles`.
    """
    beyond = obstacle(question)
    if question.max_cycles is not None:
        beyond = f"max_cycles = {question.max_cycles} is no limit that it knows"
    if beyond:
        raise MappingError(f"effort = {question.effort}: {beyond}")
    return _Search(question, within_dataflow(question)).found()


class _Search:
    """One question's search, and the best mapping so far."""

    def __init__(self, question: Question, start: Found) -> None:
        self.began = perf_counter() - start.seconds
        self.question, self.best = question, start
        self.layer = accumulated(question.layer, question.machine)
        self.sized = numbers(self.layer, question.machine)
        self.effort, self.tried = question.effort, start.evaluated
        self.end = self.began + (question.budget_s or inf)
        self.whole = True

    def found(self) -> Found:
        """The best mapping when the effort is spent, or the gap closed."""
        bounded = sorted(self._bounded())
        least = self._searched(bounded) if self.whole else 0.0
        return replace(
            self.best,
            lower_bound=min(max(least, self.best.lower_bound), self.best.value),
            evaluated=self.tried,
            seconds=perf_counter() - self.began,
            space="whole" if self.whole else "dataflow",
            reason="" if self.whole else f"{self._spent()} is too little to search all mappings",
        )

    def _searched(self, bounded: list[tuple[float, int, Job]]) -> float:
        """Looks through the structures as long as it goes on; a lower bound on all mappings."""
        for _, _, job in bounded:
            if self._goes_on() and job.least < self._limit():
                self._look(job)
        queue = [(job.least, at, job) for _, at, job in bounded]
        heapify(queue)
        while queue and self._goes_on() and queue[0][0] < self._limit():
            _, at, job = heappop(queue)
            if job.closed:
                heappush(queue, (job.least, at, job))
                break
            self._turn(job, queue[0][0] if queue else inf)
            heappush(queue, (job.least, at, job))
        return exp(queue[0][0]) if queue else 0.0

    def _spent(self) -> str:
        """What has run out."""
        asked = self.question
        return f"effort = {asked.effort}" if self.effort <= 0 else f"budget_s = {asked.budget_s}"

    def _goes_on(self) -> bool:
        return self.effort > 0 and perf_counter() < self.end

    def _limit(self) -> float:
        return log(self.best.value)

    def _bounded(self) -> list[tuple[float, int, Job]]:
        """(bound, number, structure) of every structure, or of as many as effort and time allow."""
        known: dict[Any, float] = {}
        found: list[tuple[float, int, Job]] = []
        made: set[int] = set()
        for at, job in enumerate(jobs(self.layer, self.question.machine, self.question.objective)):
            if not self._goes_on():
                self.whole = False
                break
            if id(job.options) not in made:
                made.add(id(job.options))
                self.effort -= sum(own.key.size for own in job.options)
            job.learn(known)
            self.effort -= job.raise_bound(self.sized, self._limit(), FIRST_ROUNDS)
            job.teach(known)
            found.append((job.least, at, job))
        return found

    def _look(self, job: Job) -> None:
        """Raises the bound of a structure, and looks for any mapping of it that is better."""
        self.effort -= job.raise_bound(self.sized, self._limit(), MORE_ROUNDS) + 1
        if job.least < self._limit():
            self.effort -= job.dive(self.sized, self._limit()) + 1
            self._judge(job)

    def _turn(self, job: Job, others: float) -> None:
        """Walks through the nests of the structure that has the lowest bound, as far as the next
        lowest one, and a little further each time."""
        further = job.least + FIRST_SLACK * FASTER**job.turns
        limit = min(max(others, further), self._limit())
        job.turns += 1
        self.effort -= job.close(self.sized, limit, self.effort) + 1
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
