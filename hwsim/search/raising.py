"""A part's bound raised, and what is above a limit left out of it, again and again."""

from typing import Any

import numpy as np

from hwsim._compiled import compiled
from hwsim.search.dual import Ascent, Desk, bound
from hwsim.search.inner import Options
from hwsim.search.master import Goal
from hwsim.search.narrow import Subset, narrowed, subset
from hwsim.search.outer import Scratch
from hwsim.search.problem import Form, Numbers

# Rounds after which options are left out.
STRIDE = 10
# Options that a round goes through in the time in which a walk tries one; what it takes besides.
SWIFTER, EACH_ROUND = 80, 100
# Rounds of a bound that rises no more.
SETTLED = 1000


@compiled()
def raised(
    n: Numbers,
    f: Form,
    goal: Goal,
    options: tuple[Options, ...],
    s: Subset,
    a: Ascent,
    scratch: tuple[Scratch, ...],
    desk: Desk,
    least: float,
    limit: float,
    rounds: int,
) -> Any:
    """(the lower bound of a subset, `least` or higher, up to `limit`, the rounds that it took, or
    SETTLED where it rises no more, the effort, and the rows [axis] that are left)."""
    own, gone, work = subset(options, s), 0, 0
    a.value[0] = np.inf
    while gone < rounds and least < limit:
        found, done = bound(n, f, goal, own, a, scratch, desk, limit, STRIDE)
        work += done * (EACH_ROUND + count(own) // SWIFTER)
        gone = gone + STRIDE if done == STRIDE else SETTLED
        least = max(least, min(found, limit))
        if least < limit:
            own = narrowed(n, f, own, a, scratch, desk, limit)
            if min([each.key.size for each in own]) == 0:
                least = limit
    return (
        least,
        gone,
        work,
        (
            own[0].number,
            own[1].number,
            own[2].number,
            own[3].number,
            own[4].number,
            own[5].number,
        ),
    )


@compiled(allocates=False)
def count(options: tuple[Options, ...]) -> Any:
    """Options of all axes."""
    found = 0
    for axis in range(6):
        found += options[axis].key.size
    return found
