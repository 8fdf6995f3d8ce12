"""The best mapping of a layer over the whole space, with a lower bound on all others.

Every nest has a form that costs no more: stores rise past the loops that their tensors lack and
sink past those that they have (`search.structures`). Of each such structure a Lagrangian relaxation
says what its nests cost at least (`search.dual`), and those whose bound is not above the best known
are walked through (`search.walk`). The bounds take tiles to be even and leave out the first and
last tiles' wait; mappings found are judged by `hwsim.cost`, and what lies between is the gap.
"""

from collections.abc import Iterable
from dataclasses import replace
from math import exp, inf, log
from time import perf_counter

from hwsim.constraints import FREE
from hwsim.cost import cost
from hwsim.dataflow import accumulated, within_dataflow
from hwsim.found import Found, Question
from hwsim.objective import value
from hwsim.search.jobs import FIRST_ROUNDS, Job, jobs
from hwsim.search.problem import Numbers, numbers
from hwsim.search.realise import mappings

# Limits grow from the lowest bound by this share at first, and then by so much faster each time.
FIRST_SLACK, FASTER = 0.004, 1.8


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
    return (
        layer.weighted
        and not machine.mac.zero_skipping
        and len(machine.arrays) <= 1
        and question.constraints == FREE
        and question.max_cycles is None
    )


class _Search:
    """One question's search, and the best mapping so far."""

    def __init__(self, question: Question, start: Found) -> None:
        self.began = perf_counter() - start.seconds
        self.question, self.best = question, start
        self.layer = accumulated(question.layer, question.machine)
        self.effort, self.tried = question.effort, start.evaluated

    def found(self) -> Found:
        """The best mapping when the effort is spent, or the gap closed."""
        sized = numbers(self.layer, self.question.machine)
        limit = log(self.best.value)
        open_jobs = list(jobs(self.layer, self.question.machine, self.question.objective))
        for job in open_jobs:
            job.raise_bound(sized, limit, FIRST_ROUNDS)
        self._close(sized, open_jobs)
        least = min([exp(job.least) for job in open_jobs], default=0.0)
        return replace(
            self.best,
            lower_bound=min(max(least, self.best.lower_bound), self.best.value),
            evaluated=self.tried,
            seconds=perf_counter() - self.began,
        )

    def _close(self, sized: Numbers, all_jobs: list[Job]) -> None:
        """Walks through all nests below a limit that grows until the lowest nest is known."""
        slack, floor = FIRST_SLACK, min((job.least for job in all_jobs), default=inf)
        while self.effort > 0:
            lowest = min((job.least for job in all_jobs if not job.closed), default=inf)
            reached = min((job.least for job in all_jobs if job.closed), default=inf)
            limit = min(floor + slack, reached, log(self.best.value))
            if lowest >= min(reached, log(self.best.value)):
                return
            for job in sorted(all_jobs, key=lambda job: job.least):
                if not job.closed and job.least < limit and self.effort > 0:
                    self.effort -= job.close(sized, limit, self.effort) + 1
                    limit = min(limit, job.least if job.closed else inf)
                    self._judge(job)
            slack *= FASTER

    def _judge(self, job: Job) -> None:
        """Writes down the nests that were found, best first, while one may be the best of all."""
        for reached, leaf in reversed(job.leaves):
            if reached >= self.best.value:
                break
            self._take(mappings(self.layer, self.question.machine, job.structure, leaf))
        job.leaves.clear()

    def _take(self, candidates: Iterable) -> None:
        for mapping in candidates:
            self.tried += 1
            judged = cost(self.layer, mapping, self.question.machine)
            reached = value(self.question.objective, judged.energy_pj, judged.cycles)
            if reached < self.best.value:
                self.best = replace(self.best, mapping=mapping, cost=judged, value=reached)
