"""Recognises that passes repeat, so that the engine may jump over whole periods of them.

Before each pass the engine's whole state, relative to the moment, is looked up among earlier ones.
If it was the same `period` passes ago, and the passes to come are of the same kinds as those of the
last period, then all that follows repeats as well, and so do the sums that were counted.
"""

from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np

from hwsim._floor import Counted
from hwsim.passes import Array1D


@dataclass(frozen=True)
class Feeding:
    """Where a feed is: the pass whose tile comes next, and the one before which it may not."""

    coming: int
    after: int


@dataclass(frozen=True)
class Moment:
    """A pass about to begin: where its feeds are, and all that was counted until then."""

    at: int
    feeds: tuple[Feeding, ...]
    counted: Counted


@dataclass(frozen=True)
class Jump:
    """`repeats` periods of `length` passes; `moved` tells for each feed whether it moves along."""

    length: int
    repeats: int
    moved: tuple[bool, ...]

    @property
    def passes(self) -> int:
        """Passes jumped over."""
        return self.length * self.repeats


class Folding:
    """The moments of one layer's passes, by state."""

    def __init__(self, order: Array1D) -> None:
        self._order = order
        self._seen: dict[Hashable, Moment] = {}

    def jump(self, state: Hashable, moment: Moment) -> tuple[Moment, Jump] | None:
        """The earlier moment that this one repeats, and how far that goes on; None if nowhere."""
        key = int(self._order[moment.at]), state
        earlier = self._seen.get(key)
        self._seen[key] = moment
        found = earlier and self._repeats(earlier, moment)
        return (earlier, found) if earlier and found else None

    def _repeats(self, earlier: Moment, moment: Moment) -> Jump | None:
        at, length = moment.at, moment.at - earlier.at
        moved, until, ahead = [], self._alike_until(at, length), 0
        for before, feed in zip(earlier.feeds, moment.feeds, strict=True):
            along = (feed.coming - before.coming, feed.after - before.after) == (length, length)
            if not along and feed != before:
                return None
            if along:
                ahead = max(ahead, feed.coming + 1 - at)
            elif feed.after >= at:
                until = min(until, feed.after)
            moved.append(along)
        repeats = (until - at - ahead) // length
        return Jump(length, repeats, tuple(moved)) if repeats > 0 else None

    def _alike_until(self, at: int, period: int) -> int:
        """The first pass from `at` on that is of another kind than the one a period before it."""
        order, size = self._order, 64
        while at < len(order):
            stop = min(at + size, len(order))
            differ = np.flatnonzero(order[at:stop] != order[at - period : stop - period])
            if differ.size:
                return at + int(differ[0])
            at, size = stop, 2 * size
        return at
