"""A part's bound raised, and what is above a limit left out of it, again and again."""

import numpy as np

from hwsim.search.dual import Ascent, Desk, bound
from hwsim.search.inner import Options
from hwsim.search.master import Goal
from hwsim.search.narrow import narrowed
from hwsim.search.outer import Scratch
from hwsim.search.problem import Form, Ints, Numbers
from hwsim.search.sift import EACH_ROUND, SWIFTER

# Rounds after which options are left out.
STRIDE = 10
# Rounds of a bound that rises no more.
SETTLED = 1000


def work_of(options: tuple[Options, ...]) -> int:
    """The effort of a round."""
    return EACH_ROUND + sum(own.key.size for own in options) // SWIFTER


def raised(
    n: Numbers,
    f: Form,
    goal: Goal,
    options: tuple[Options, ...],
    a: Ascent,
    scratch: tuple[Scratch, ...],
    desk: Desk,
    least: float,
    limit: float,
    rounds: int,
) -> tuple[float, int, int, tuple[Ints, ...]]:
    """(the lower bound of some options, `least` or higher, up to `limit`, the rounds that it took,
    or SETTLED where it rises no more, the effort, and the numbers [axis] of those left)."""
    gone, work = 0, 0
    a.value[0] = np.inf
    while gone < rounds and least < limit:
        turns = min(STRIDE, rounds - gone)
        found, done = bound(n, f, goal, options, a, scratch, desk, limit, turns)
        work += done * work_of(options)
        gone = gone + turns if done == turns else SETTLED
        least = max(least, min(found, limit))
        if least < limit:
            options = narrowed(n, f, options, a, scratch, desk, limit)
            if not all(own.key.size for own in options):
                least = limit
    return least, gone, work, tuple(own.number for own in options)
