"""A part's bound raised, and what is above a limit left out of it, again and again."""

from typing import Any

import numpy as np

from hwsim._compiled import compiled
from hwsim.search.dual import Ascent, Desk, bound
from hwsim.search.master import Goal
from hwsim.search.narrow import narrow
from hwsim.search.outer import Scratch
from hwsim.search.pool import Pool, options_in
from hwsim.search.problem import Form, Numbers
from hwsim.search.tables import Tables

# Rounds after which options are left out.
STRIDE = 10
# Rounds of a bound that rises no more.
SETTLED = 1000
# Options that a round goes through in the time in which a walk tries one; what it takes besides.
SWIFTER, EACH_ROUND = 80, 100


@compiled(allocates=False)
def effort_of(options: int) -> Any:
    """The effort of a round through so many options."""
    return EACH_ROUND + options // SWIFTER


@compiled(allocates=False)
def gone_through(done: int, rounds: int) -> Any:
    """Rounds that a bound took of those it had; SETTLED where it rises no more."""
    return rounds if done == rounds else SETTLED


@compiled(allocates=False)
def raised(
    n: Numbers,
    f: Form,
    goal: Goal,
    t: Tables,
    p: Pool,
    a: Ascent,
    s: Scratch,
    desk: Desk,
    least: float,
    limit: float,
    rounds: int,
) -> Any:
    """(the lower bound of some options, `least` or higher, up to `limit`, the rounds that it took,
    or SETTLED where it rises no more, and the effort); what is above the limit is left out."""
    gone, work = 0, 0
    a.value[0] = np.inf
    while gone < rounds and least < limit:
        turns = min(STRIDE, rounds - gone)
        found, done = bound(n, f, goal, t, p, a, s, desk, limit, turns)
        work += done * effort_of(options_in(p))
        gone += gone_through(done, turns)
        least = max(least, min(found, limit))
        if least < limit and not narrow(n, f, t, p, a, s, limit):
            least = limit
    return least, gone, work
