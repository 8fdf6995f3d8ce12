"""The course of a search: what of a question's nests is gone on with, and the best mapping so far.

What has the lowest bound comes first (see `hwsim.mapper`), until the effort is spent or nothing is
left below the best mapping.
"""

from collections.abc import Iterator
from dataclasses import replace
from heapq import heappop, heappush
from math import exp, inf
from time import perf_counter

from hwsim.constraints import narrowed
from hwsim.dataflow import accumulated
from hwsim.errors import MappingError
from hwsim.found import Found, Question
from hwsim.search.jobs import Job, guess, jobs
from hwsim.search.judging import Judge
from hwsim.search.packed import Packed, packed
from hwsim.search.parts import Part, room, whole
from hwsim.search.problem import numbers
from hwsim.search.raising import effort_of
from hwsim.search.trials import Trials
from hwsim.search.waiting import PatientJudge

# Rounds that move weights: of every part first, and of one that stays.
FIRST_ROUNDS, MORE_ROUNDS = 10, 20
# The share of the effort that first rounds take at most, while each is but one.
BEGUN = 0.4
# How far below the best known a structure's bound is that they raise again, as a logarithm.
FAR = 0.15
# Options of all axes, multiplied, which are walked through, trying at most so many.
FEW, SHORT = 1e3, 20_000
# The share of the effort spent that looked for good nests at random, in so many structures, while
# bounds are farther away than that, as logarithms.
SOUGHT, WIDELY, CLOSE = 0.15, 16, 1e-3
# What is still spent, as a share of what was and at least, where no bound left is the lowest.
PATIENCE, AT_LEAST = 0.25, 200_000
# Seeds after which none better is expected.
TIRED = 30
DONE = object()


class Course:
    """One question's search."""

    def __init__(self, question: Question, start: Found | None) -> None:
        self.began = perf_counter() - (start.seconds if start else 0)
        self.question = replace(
            question, constraints=narrowed(question.constraints, question.machine)
        )
        self.layer = accumulated(question.layer, question.machine)
        judge = PatientJudge if question.machine.mac.zero_skipping else Judge
        self.judge = judge(self.question, self.layer, start)
        self.searched = 0
        self.end = self.began + (question.budget_s or inf)
        self.floor, self.whole = inf, True
        self.queue: list[tuple[float, int, Part | Packed]] = []
        self.count, self.sought, self.useful = 0, 0, 0
        self.trials = Trials()

    def found(self) -> Found:
        """The best mapping when the effort is spent, or the gap closed. Raises MappingError where
        there is none."""
        self._begin()
        seeks = self._seeks()
        while self.queue and self._goes_on() and self._is_worthwhile():
            if not self._is_sought() or next(seeks, DONE) is DONE:
                self._go_on(heappop(self.queue)[2])
        self.judge.finish(self._goes_on)
        best = self.judge.best
        if best is None:
            raise MappingError(self._nothing())
        return replace(
            best,
            lower_bound=min(max(self._least(), best.lower_bound), best.value),
            evaluated=self.judge.tried,
            seconds=perf_counter() - self.began,
            space="whole" if self.whole else best.space,
            reason="" if self.whole else f"{self._run_out()} is too little to search all mappings",
        )

    def _least(self) -> float:
        """A lower bound on all mappings."""
        lowest = self.queue[0][0] if self.queue else inf
        return exp(min(self.floor, lowest, self.judge.limit)) if self.whole else 0.0

    def _nothing(self) -> str:
        """That no mapping was found, and whether there is none."""
        layer, where = f"layer {self.layer.name!r}", f"on {self.question.machine.name}"
        if self.whole and not self.queue and self.floor == inf:
            return f"{layer}: no mapping {where} obeys the constraints"
        return f"{layer}: {self._run_out()} found no mapping {where} that obeys the constraints"

    def _run_out(self) -> str:
        """What has run out."""
        asked = self.question
        return f"effort = {asked.effort}" if self.effort <= 0 else f"budget_s = {asked.budget_s}"

    def _goes_on(self) -> bool:
        return self.effort > 0 and perf_counter() < self.end

    def _is_worthwhile(self) -> bool:
        """Whether a better mapping may be left, and bounds that hold that of all mappings down, or
        did not long ago. Mappings cost up to some tenths of a per cent more than the counts of
        their nests: one that was gone through may hold it down for good."""
        lowest, spent = self.queue[0][0], self.spent
        if lowest < self.floor:
            self.useful = spent
        patience = max(PATIENCE * self.useful, AT_LEAST)
        return lowest < self.judge.limit and spent <= self.useful + patience

    def _is_sought(self) -> bool:
        """Whether it is time to look for good nests at random."""
        return self.sought < SOUGHT * self.spent and self.queue[0][0] < self.judge.limit - CLOSE

    @property
    def spent(self) -> int:
        """Effort."""
        return self.searched + self.judge.spent

    @property
    def effort(self) -> int:
        """What is left of it."""
        return self.question.effort - self.spent

    def _begin(self) -> None:
        """Bounds all structures, or as many as effort and time allow."""
        found = list(self._made())
        asked = self.question
        sized = numbers(self.layer, asked.machine, asked.constraints)
        self.room = room(sized, (job.options for job in found))
        known, rounds = guess(self.room.numbers), self._first_rounds(found)
        for job in found:
            if not self._goes_on():
                self.whole = False
                return
            part = whole(self.room, job)
            part.learn(known)
            self._raise(part, rounds)
            if part.least < self.judge.limit - FAR and self._goes_on():
                self._raise(part, rounds)
            part.teach(known)
            self._push(part)

    def _first_rounds(self, found: list[Job]) -> int:
        """Rounds of every structure first: fewer where they took more than their share."""
        each = sum(effort_of(sum(own.key.size for own in job.options)) for job in found)
        return max(1, min(FIRST_ROUNDS, int(self.effort * BEGUN / max(each, 1))))

    def _seeks(self) -> Iterator[None]:
        """Looks for good nests of the structures with the lowest bounds, then of the better half of
        them, down to one, and so again; stops after each for what else is to be done."""
        parts = [part for *_, part in sorted(self.queue) if isinstance(part, Part)][:WIDELY]
        seed, better, known = 0, 0, self.judge.value
        while ahead := [part for part in parts if part.least < self.judge.limit]:
            while ahead:
                if seed - better >= TIRED:
                    return
                reached = []
                for at, part in enumerate(ahead):
                    if part.least < self.judge.limit:
                        reached.append((self._sought(part, seed), at))
                        yield
                ahead = [ahead[at] for _, at in sorted(reached)[: len(reached) // 2]]
                if self.judge.value < known:
                    better, known = seed, self.judge.value
                seed += 1

    def _sought(self, part: Part, seed: int) -> float:
        """What the best nest of a part comes to that is found at random."""
        reached, work = part.seek(self.room, seed)
        self.searched += work
        self.sought += work
        self._judge(part)
        return reached

    def _made(self) -> Iterator[Job]:
        """The structures, as long as there is effort for their options, which several share."""
        made: set[int] = set()
        asked = self.question
        for job in jobs(self.layer, asked.machine, asked.objective, asked.constraints):
            if not self._goes_on():
                self.whole = False
                return
            fresh = {id(own): own.key.size for own in job.options if id(own) not in made}
            made |= fresh.keys()
            self.searched += sum(fresh.values())
            yield job

    def _push(self, part: Part | Packed) -> None:
        if part.least < self.judge.limit:
            part.rest()
            heappush(self.queue, (part.least, self.count, part))
            self.count += 1

    def _raise(self, part: Part, rounds: int) -> None:
        self.searched += part.raise_bound(self.room, self.judge.limit, rounds) + 1
        self._judge(part)

    def _go_on(self, part: Part | Packed) -> None:
        """Raises the bound of what has the lowest one, or takes it apart."""
        if isinstance(part, Packed):
            self._pop(part)
        elif part.rounds < MORE_ROUNDS:
            self._raise(part, MORE_ROUNDS - part.rounds)
            self._push(part)
        elif parts := packed(part, self.room, self.judge.limit):
            self._push(parts)
        elif not self._closed(part):
            self._cut(part)

    def _pop(self, packed: Packed) -> None:
        """Takes a part by places out, if it is not ruled out at once."""
        part, work = packed.pop(self.room, self.judge.limit, FIRST_ROUNDS)
        self.searched += work + 1
        if part:
            self._judge(part)
            self._push(part)
        self._push(packed)

    def _cut(self, part: Part) -> None:
        """Cuts a part in two; what cannot be cut keeps its bound."""
        halves, work = self.trials.halves(part, self.room, self.judge.limit)
        self.searched += work + 1
        self._judge(part)
        for half in halves:
            self._push(half)
        if not halves:
            self.floor = min(self.floor, part.least)

    def _closed(self, part: Part) -> bool:
        """Walks through a part if it is small; whether to the end."""
        if part.size >= FEW:
            return False
        tried, done = part.close(self.room, self.judge.limit, SHORT)
        self.searched += tried + 1
        self._judge(part)
        if done:
            self.floor = min(self.floor, part.least)
        return done

    def _judge(self, part: Part) -> None:
        """Has the nests judged that were found in a part."""
        self.judge.note(part)
        self.judge.go_on(self.searched)
