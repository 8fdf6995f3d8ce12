"""Parts of a structure, each with its lower bound and what is left to try of it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from math import exp, inf, prod
from typing import Any, NamedTuple

import numpy as np

from hwsim.search.anneal import anneal
from hwsim.search.branch import BEST, cuts, side, weigh
from hwsim.search.chains import near
from hwsim.search.dual import Ascent, ascent, copied, desk_of
from hwsim.search.goal import placed
from hwsim.search.inner import Options
from hwsim.search.jobs import AXES, Job, Label, labels
from hwsim.search.leaf import written
from hwsim.search.master import COLUMNS, Goal, forget, rested, woken
from hwsim.search.narrow import ROUNDING
from hwsim.search.outer import Scratch, is_twice, scratch
from hwsim.search.pool import Flags, Pool, Subset, pool_of, rows_of
from hwsim.search.problem import AXES as NAMES
from hwsim.search.problem import MONOMIALS, OUTER, RISEN, UNLIMITED, Form, Ints, Numbers
from hwsim.search.raising import raised
from hwsim.search.scores import PLACES
from hwsim.search.tables import Tables, tables
from hwsim.search.walk import FOUND, LEAVES, MOST, TRIED, search, walk
from hwsim.search.ways import PLACES as SPREAD
from hwsim.workload import RELEVANT

# Moves of an annealing for each option, at most, and in the time in which a walk tries an option.
WANDERING, FARTHEST, MOVES = 5, 20_000, 2
# What a mixture has one of alone is cut too, after all that wavers.
LEAST_SWING = 1e-6
# Dimensions of axes that psums lack.
REDUCED = tuple(
    (axis, at)
    for axis, pair in enumerate(NAMES)
    for at, dim in enumerate(pair)
    if dim and dim not in RELEVANT["ofmap"]
)
# The share of all that wavers from which on a store's tiles are parted, not cut.
WAVERING = 0.1


class Room(NamedTuple):
    """A layer on a machine, and room for what its axes come to."""

    numbers: Numbers
    tables: Tables
    scratch: Scratch


def room(numbers: Numbers, options: Iterable[tuple[Options, ...]]) -> Room:
    """Room for the largest of such options of all axes."""
    most = max((sum(axis.key.size for axis in own) for own in options), default=0)
    known = tables(numbers)
    return Room(numbers, known, scratch(numbers, known, most))


@dataclass
class Part:
    """Some nests of a structure: those of a `held` subset of its options.

    `least`: the lower bound so far, as log(objective), raised in so many `rounds`. `leaves`:
    (value, nest) of nests found, each lower than all before. `crowded`: the `size` at which there
    were too many sets of its places to list.
    """

    job: Job
    held: Subset
    ascent: Ascent
    least: float = -inf
    rounds: int = 0
    leaves: list[tuple[float, Ints]] = field(default_factory=list)
    crowded: float = inf

    def pool(self, room: Room) -> Pool:
        """The options of all axes."""
        return pool_of(room.tables, self.job.options, self.held)

    @property
    def is_placed(self) -> bool:
        """Whether places are chosen."""
        return bool(self.held.splits[0] >= 0)

    @property
    def size(self) -> float:
        """Options of all axes, multiplied."""
        return prod(float(rows.size) for rows in self.held.rows)

    @cached_property
    def goal(self) -> Goal:
        """What is minimised, with what is known where places are chosen."""
        rows = [own[0] if own.size else -1 for own in self.held.rows]
        if not self.is_placed or min(rows) < 0:
            return self.job.goal
        options = self.job.options
        copies = prod(int(options[axis].ways[rows[axis], dim, SPREAD]) for axis, dim in REDUCED)
        return placed(self.job.goal, self.job.spared, copies)

    def wavering(self) -> Iterator[tuple[int, Flags]]:
        """(the store above the array whose tiles waver most, axes), if they waver more than
        WAVERING of all that does: all axes, then the one that wavers most there."""
        stores, weights = self.job.form.tensors.size, np.zeros((6, PLACES + 1))
        weigh(self.job.form, self.ascent, weights)
        each = weights[:, :stores] + weights[:, MONOMIALS : MONOMIALS + stores]
        if stores and each.sum(axis=0).max() > WAVERING * weights.sum():
            store = int(np.argmax(each.sum(axis=0)))
            yield store, each[:, store] >= 0.0
            yield store, np.arange(6) == np.argmax(each[:, store])

    def learn(self, known: dict[Label, Any]) -> None:
        """Begins where another structure ended, as far as both have stores alike."""
        weights = self.ascent.weights
        for at, label in enumerate(labels(self.job.structure)):
            self.ascent.mixture.start[:, at] = known.get(("mean", label), 0.0)
        for at, label in enumerate(labels(self.job.structure)[MONOMIALS:]):
            weights.tiles[at] = known.get(("tile", label), 0.0) if label else 0.0
        weights.places[:] = known.get("places", 0.0)
        if known.get("busy", weights.busy).size == weights.busy.size:
            weights.busy[:] = known.get("busy", weights.busy)

    def teach(self, known: dict[Label, Any]) -> None:
        """Leaves its weights to other structures."""
        names, weights = labels(self.job.structure), self.ascent.weights
        mean = enumerate(names)
        known.update({("mean", name): self.ascent.mean[:, at] for at, name in mean if name})
        tiles = enumerate(names[MONOMIALS:])
        known.update({("tile", name): weights.tiles[at] for at, name in tiles if name})
        known.update(places=weights.places, busy=weights.busy)

    def rest(self) -> None:
        """Takes less room, until it is gone on with."""
        if self.ascent.mixture.shares.shape[1] == COLUMNS:
            self.ascent = self.ascent._replace(mixture=rested(self.ascent.mixture))

    def _wake(self) -> None:
        if self.ascent.mixture.shares.shape[1] < COLUMNS:
            self.ascent = self.ascent._replace(mixture=woken(self.ascent.mixture))

    def raise_bound(self, room: Room, limit: float, rounds: int) -> int:
        """Tries for a higher bound, up to `limit`, and leaves out what is not below it; the effort
        that it took."""
        self._wake()
        job, now = self.job, self.ascent
        pool = self.pool(room)
        place = room.numbers, job.form, self.goal, room.tables, pool, now, room.scratch
        self.least, gone, work = raised(*place, desk_of(self.goal), self.least, limit, rounds)
        self.held = self.held._replace(rows=rows_of(pool))
        self.rounds += gone
        self.remember(room, exp(limit))
        return int(work)

    def remember(self, room: Room, below: float) -> None:
        """Keeps the lowest nest that was seen, if its value is below that."""
        reached = float(self.ascent.value[0])
        if reached < below:
            self._leave(room, reached, self.ascent.leaf)

    def _leave(self, room: Room, reached: float, leaf: Ints) -> None:
        self.leaves.append((reached, written(room.numbers, room.tables, self.job, leaf)))

    def seek(self, room: Room, seed: int) -> tuple[float, int]:
        """Looks for a good nest at random; its value, infinite if none fits, and the effort that it
        took."""
        job, pool = self.job, self.pool(room)
        moves = min(FARTHEST, WANDERING * pool.number.size)
        place = room.numbers, job.form, self.goal, room.tables, pool
        anneal(*place, self.ascent, room.scratch, moves, seed)
        self.remember(room, inf)
        return float(self.ascent.value[0]), moves // MOVES

    def cuts(self, room: Room) -> list["Cut"]:
        """Where it may be cut in two, first where it wavers most; nothing if it is one nest."""
        self.ascent.swing[:] += LEAST_SWING
        place = room.numbers, self.job.form, room.tables, self.pool(room)
        found = zip(*cuts(*place, self.ascent, room.scratch), strict=True)
        return [Cut(int(axis), int(c), float(at)) for (axis, c), at in found]

    def label(self, cut: "Cut") -> Label:
        """What a cut is like in other parts, of whatever structure."""
        names = labels(self.job.structure)
        name = names[cut.column] if 0 <= cut.column < len(names) else cut.column
        return cut.axis, cut.column < MONOMIALS, name

    def halves(self, room: Room, cut: "Cut") -> list["Part"]:
        """Both sides of a cut, the lower one first."""
        self._wake()
        job, pool, found = self.job, self.pool(room), []
        for above in (False, True):
            rows, barred = side(job.form, room.tables, pool, room.scratch, *cut, above)
            axes = *self.held.rows[: cut.axis], rows, *self.held.rows[cut.axis + 1 :]
            held = Subset(axes, barred, self.held.splits)
            start = copied(self.ascent)
            _sift(job.form, start, cut, above)
            found.append(Part(job, held, start, self.least, crowded=self.crowded))
        return found

    def close(self, room: Room, limit: float, effort: int) -> tuple[int, bool]:
        """Looks for the lowest nest below `limit`, trying no more options than `effort`; how many
        it tried, and whether it tried all. Then the bound is that nest's, or `limit`."""
        job, state = self.job, walk(limit, effort)
        place = room.numbers, job.form, room.tables, self.pool(room)
        rows = near(*place, self.ascent, room.scratch, limit)
        weights, const = self.ascent.weights, float(self.ascent.const[0])
        search(room.numbers, job.form, self.goal, rows, weights, const, state)
        found, tried = int(state.tally[FOUND]), int(state.tally[TRIED])
        for at in range(max(0, found - LEAVES), found):
            self._leave(room, float(state.values[at % LEAVES]), state.leaves[at % LEAVES])
        done = tried < state.tally[MOST]
        if done:
            self.least = max(self.least, float(state.limit[0]) if found else limit)
        return tried, done


def whole(room: Room, job: Job) -> Part:
    """All nests of a structure."""
    rows = tuple(np.arange(own.key.size) for own in job.options)
    barred = _too_large(room, job.form)
    return Part(job, Subset(rows, barred, np.full(len(AXES), -1)), ascent(job.goal))


def _too_large(room: Room, form: Form) -> Flags:
    """Tiles above the array [axis, store, tile, tile] that span more than they may."""
    n, barred = room.numbers, np.zeros((len(AXES), OUTER, *room.tables.counts.shape[1:]), np.bool_)
    for k in np.flatnonzero((form.most[: form.tensors.size] < UNLIMITED).any(axis=1)):
        for axis, pair in enumerate(zip(n.first, n.second, strict=True)):
            first, second = (n.sizes[d] > form.most[k, d] for d in pair)
            barred[axis, k] |= first[:, None]
            if pair[1] >= 0:
                barred[axis, k] |= second[: barred.shape[-1]]
    return barred


class Cut(NamedTuple):
    """A part in two: an axis' options with no more in a column than a logarithm, and with more."""

    axis: int
    column: int
    at: float


def _sift(form: Form, ascent: Ascent, cut: Cut, above: bool) -> None:
    """Drops what is kept of an axis on the other side of a cut; all of it where that is unknown."""
    (axis, column, at), x = cut, ascent.mixture
    count = int(x.counts[axis])
    own = x.taken[axis, :count, column].copy()
    if column == PLACES:
        own += x.taken[axis, :count, column + 1]
    if column == RISEN and is_twice(form, axis):
        own -= x.taken[axis, :count, form.risen]
    stay = np.flatnonzero((own > at + ROUNDING) == above)
    if column == BEST or not stay.size:
        forget(x, axis, ascent.mean[axis])
        return
    shares = x.shares[axis, stay]
    x.taken[axis, : stay.size], x.leaves[axis, : stay.size] = (
        x.taken[axis, stay],
        x.leaves[axis, stay],
    )
    x.shares[axis] = 0.0
    x.shares[axis, : stay.size] = shares / shares.sum() if shares.sum() else 1 / stay.size
    x.counts[axis] = stay.size
