"""The parts of a part by its places, or tiles at a store, of which most are ruled out at once."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import exp, inf

import numpy as np

from hwsim.search.dual import Ascent, ascent, desk_of
from hwsim.search.master import rested
from hwsim.search.packing import packings
from hwsim.search.parts import Part, Room
from hwsim.search.pool import Flags, Subset
from hwsim.search.raising import gone_through
from hwsim.search.scores import PLACES
from hwsim.search.sets import ON_ARRAY, Groups, Sets, bar_others, grouped, is_parted
from hwsim.search.sift import sift
from hwsim.search.tried import Tried, none_tried

# By so much fewer options a part has before too many sets of places are listed anew.
FEWER = 4


def packed(part: Part, room: Room, limit: float) -> "Packed | None":
    """The parts of a part whose bounds are below a limit; None if there are too many."""
    classes = part.wavering() if part.is_placed else _places(part)
    pool = part.pool(room)
    place = room.numbers, part.job.form, room.tables, pool, part.ascent, room.scratch
    listings = (packings(*place, store, axes, limit) for store, axes in classes)
    sets = next(filter(None, listings), None)
    if sets is None:
        return None
    tried = none_tried(part.goal.busy_const.size, int(sets.starts[-1]))
    start = _start(part, room, is_placing=sets.store == ON_ARRAY)
    return Packed(part, sets, grouped(room.tables, pool), start, tried)


def _places(part: Part) -> Iterator[tuple[int, Flags]]:
    """Places of all axes, unless there were too many sets of about as many options."""
    if part.size * FEWER <= part.crowded:
        yield ON_ARRAY, np.ones(6, np.bool_)
        part.crowded = part.size


@dataclass
class Packed:
    """The parts of `part` by `sets` of classes, the lowest bounds first; those before number `at`
    are taken out or ruled out. `groups` are its options, and parts begin at `start`, or at weights
    `tried`."""

    part: Part
    sets: Sets
    groups: Groups
    start: Ascent
    tried: Tried
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
        job, goal, now = self.part.job, self.part.goal, ascent(self.part.goal)
        place = room.numbers, job.form, goal, room.tables, self.groups, self.start, now
        sets = self.sets, self.tried, self.at
        at, done, work = sift(*place, room.scratch, desk_of(goal), *sets, limit, rounds)
        self.at = at
        if done < 0:
            return None, work
        self.at += 1
        found = self._part(room, at, now)
        # Places that are chosen have a goal of their own, of which those rounds did not know.
        is_new = self.sets.store == ON_ARRAY and job.spared.pj > 0
        found.rounds = 0 if is_new else gone_through(done, rounds)
        found.remember(room, exp(limit))
        return found, work

    def _part(self, room: Room, at: int, now: Ascent) -> Part:
        """One that was raised so far."""
        own, sets, rows = self.part.held, self.sets, self.part.held.rows
        barred, splits = own.barred, own.splits
        if sets.store == ON_ARRAY:
            starts, number = self.groups.starts, self.groups.pool.number
            rows = tuple(number[starts[one] : starts[one + 1]] for one in sets.classes[at])
            splits = sets.splits[at]
        else:
            barred = barred.copy()
            for axis, one in enumerate(sets.classes[at] - sets.starts[:-1]):
                if is_parted(sets.starts, axis):
                    bar_others(room.numbers, int(one), barred[axis, sets.store])
        return Part(self.part.job, Subset(rows, barred, splits), now, float(sets.bounds[at]))


def _start(part: Part, room: Room, *, is_placing: bool) -> Ascent:
    """Where all parts begin: at the weights of the whole, but for prices of places."""
    own, start = part.ascent, ascent(part.goal)
    for name, weights in own.weights._asdict().items():
        getattr(start.weights, name)[:] = weights
    start.const[0] = own.const[0]
    start.mixture.start[:] = own.mean
    if is_placing:
        start.const[0] += own.weights.places @ np.log((room.numbers.x, room.numbers.y))
        start.weights.places[:] = 0.0
        start.mixture.start[:, PLACES:] = 0.0
    return start._replace(mixture=rested(start.mixture))
