"""A part's bound raised, and what is above a limit left out of it, again and again."""

import numpy as np

from hwsim.search.dual import Ascent, Desk, bound
from hwsim.search.inner import Options
from hwsim.search.master import Goal
from hwsim.search.narrow import narrowed
from hwsim.search.outer import Scratch
from hwsim.search.problem import Form, Ints, Numbers
from hwsim.search.sift import effort_of

# Rounds after which options are left out.
STRIDE = 10
# Rounds of a bound that rises no more.
SETTLED = 1000


def work_of(options: tuple[Options, ...]) -> int:
    """The effort of a round."""
    return int(effort_of(sum(own.key.size for own in options)))


def gone_through(done: int, rounds: int) -> int:
    """Rounds that a bound took of those it had; SETTLED where it rises no more."""
    return rounds if done == rounds else SETTLED


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
        gone += gone_through(done, turns)
        least = max(least, min(found, limit))
        if least < limit:
            options = narrowed(n, f, options, a, scratch, limit)
            if not all(own.key.size for own in options):
                least = limit
    return least, gone, work, tuple(own.number for own in options)
