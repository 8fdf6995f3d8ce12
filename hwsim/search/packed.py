"""The parts of a part by the places of all axes, of which most are ruled out at once."""

from dataclasses import dataclass
from functools import cached_property
from math import exp, inf

import numpy as np

from hwsim.search.dual import Ascent, ascent, copied, desk_of
from hwsim.search.outer import BIG
from hwsim.search.packing import packings
from hwsim.search.parts import Part, Room, Subset
from hwsim.search.problem import Numbers
from hwsim.search.raising import gone_through
from hwsim.search.scores import PLACES
from hwsim.search.sift import Groups, Sets, grouped, sift

# Sets that are gone through at a time.
MANY = 256


def packed(part: Part, room: Room, limit: float) -> "Packed | None":
    """The parts of a part whose bounds are below a limit; None if there are too many."""
    sets = packings(room.numbers, part.job.form, part.options, part.ascent, room.scratch, limit)
    if sets.bounds.size and sets.bounds[0] == -BIG:
        return None
    return Packed(part, room.numbers, sets)


@dataclass
class Packed:
    """The parts of `part` by `sets` of places, the lowest bounds first; those before number `at`
    are taken out or ruled out."""

    part: Part
    numbers: Numbers
    sets: Sets
    at: int = 0

    @property
    def least(self) -> float:
        """The bound of those that are left."""
        return float(self.sets.bounds[self.at]) if self.at < self.sets.bounds.size else inf

    def rest(self) -> None:
        """Takes little room as it is."""

    def pop(self, room: Room, limit: float, rounds: int) -> tuple[Part | None, int]:
        """Takes out the next part whose bound stays below `limit` in so many rounds, if it is among
        the next few, and the effort that it took."""
        part, now = self.part, copied(self._start)
        last = min(self.at + MANY, self.sets.bounds.size)
        at, done, work = sift(
            self.numbers,
            part.job.form,
            part.job.goal,
            self._groups,
            self._start,
            now,
            room.scratch,
            desk_of(part.job.goal),
            self.sets,
            self.at,
            last,
            limit,
            rounds,
        )
        self.at = at
        if at == last or self.least >= limit:
            return None, work
        self.at += 1
        found = self._part(at, now)
        found.rounds = gone_through(done, rounds)
        found.remember(exp(limit))
        return found, work

    def _part(self, at: int, now: Ascent) -> Part:
        """One that was raised so far."""
        own = zip(self._groups, self.sets.spreads[at], strict=True)
        rows = tuple(
            groups.options.number[groups.starts[spread] : groups.starts[spread + 1]]
            for groups, spread in own
        )
        held = Subset(rows, self.part.held.barred, self.sets.splits[at])
        return Part(self.part.job, held, now, float(self.sets.bounds[at]))

    @cached_property
    def _groups(self) -> tuple[Groups, ...]:
        """The options of each axis by their places."""
        return tuple(grouped(own) for own in self.part.options)

    @cached_property
    def _start(self) -> Ascent:
        """Where all parts begin: at the weights of the whole, but for prices of places."""
        own, start = self.part.ascent, ascent(self.part.job.goal)
        for name, weights in own.weights._asdict().items():
            getattr(start.weights, name)[:] = weights
        places = np.log((self.numbers.x, self.numbers.y))
        start.const[0] = own.const[0] + own.weights.places @ places
        start.weights.places[:] = 0.0
        start.mixture.start[:] = own.mean
        start.mixture.start[:, PLACES:] = 0.0
        return start
