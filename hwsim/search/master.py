"""Mixtures of options: the convex problem whose least value the relaxation's bounds rise to.

The best bound of `hwsim.search.dual` is the least objective of all mixtures of options and chains,
one mixture an axis. Those that were the best at some weights are kept, and the least mixture of
these alone gives the next weights: Dantzig and Wolfe's decomposition. Memories and places that are
overfull cost by how much they are, around the best prices known (an augmented Lagrangian), and so
do resources that are the busiest; so weights move only as far as what is kept can tell.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwsim._compiled import compiled
from hwsim.search.outer import is_twice
from hwsim.search.problem import RISEN, Form
from hwsim.search.scores import LEAF, TAKEN, Picks

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
# Options and chains of an axis that are kept.
COLUMNS = 16
# What an axis starts from weighs so much less each round, until it is dropped.
FADING, FADED = 0.5, 0.1


class Goal(NamedTuple):
    """What is minimised: energy ** powers[0] * cycles ** powers[1].

    `energy` [monomial] pJ each, and `energy_const`; `busy` [resource, monomial] cycles each, and
    `busy_const` [resource]; `clock` pJ a cycle.
    """

    powers: Ints
    energy: Floats
    energy_const: float
    busy: Floats
    busy_const: Floats
    clock: float


class Mixture(NamedTuple):
    """What was best at some weights: `taken` [axis, column, TAKEN], as monomials have it, and how
    it is written down, `leaves` [axis, column, LEAF]; `counts` [axis]; `shares` [axis, column] of
    the mixture. `start` [axis, TAKEN] weighs `faith` [axis], and what is kept the rest."""

    taken: Floats
    leaves: Ints
    counts: Ints
    shares: Floats
    start: Floats
    faith: Floats


def mixture() -> Mixture:
    """One that knows nothing yet."""
    return Mixture(
        np.zeros((6, COLUMNS, TAKEN)),
        np.zeros((6, COLUMNS, LEAF), np.int64),
        np.zeros(6, np.int64),
        np.zeros((6, COLUMNS)),
        np.zeros((6, TAKEN)),
        np.ones(6),
    )


def rested(x: Mixture) -> Mixture:
    """What has a share alone, in no more room than that takes."""
    most = int((x.shares > 0).sum(axis=1).max())
    found = Mixture(
        np.zeros((6, most, TAKEN)),
        np.zeros((6, most, LEAF), np.int64),
        (x.shares > 0).sum(axis=1),
        np.zeros((6, most)),
        x.start,
        x.faith,
    )
    for axis, own in enumerate(x.shares):
        stay = np.flatnonzero(own > 0)
        found.taken[axis, : stay.size] = x.taken[axis, stay]
        found.leaves[axis, : stay.size] = x.leaves[axis, stay]
        found.shares[axis, : stay.size] = own[stay]
    return found


def woken(x: Mixture) -> Mixture:
    """One that rested, with room for more."""
    found, most = mixture(), x.shares.shape[1]
    for whole, part in zip(found[:2], x[:2], strict=True):
        whole[:, :most] = part
    found.shares[:, :most] = x.shares
    return found._replace(counts=x.counts, start=x.start, faith=x.faith)


@compiled()
def keep(f: Form, x: Mixture, picks: Picks) -> None:
    """Adds the picks that are new, in place of what has the least share if there is no room."""
    for axis in range(6):
        own = picks.taken[axis].copy()
        if is_twice(f, axis):
            own[RISEN] += own[f.risen]
        count = x.counts[axis]
        if _is_known(x, axis, own):
            continue
        at = count
        if count == COLUMNS:
            at = int(np.argmin(x.shares[axis]))
        else:
            x.counts[axis] += 1
            x.shares[axis, at] = 1.0 if count == 0 else 0.0
        x.taken[axis, at], x.leaves[axis, at] = own, picks.leaf[axis]


@compiled(allocates=False)
def _is_known(x: Mixture, axis: int, own: Floats) -> bool:
    """Whether an axis has what takes the same."""
    for c in range(x.counts[axis]):
        at = 0
        while at < own.size and np.abs(x.taken[axis, c, at] - own[at]) < 1e-9:
            at += 1
        if at == own.size:
            return True
    return False


@compiled()
def forget(x: Mixture, axis: int, mean: Floats) -> None:
    """Drops what is kept of an axis, which starts from a mean again."""
    x.counts[axis], x.faith[axis], x.shares[axis] = 0, 1.0, 0.0
    x.start[axis] = mean


@compiled(allocates=False)
def mixed(f: Form, x: Mixture, logs: Floats) -> None:
    """What the mixture takes [TAKEN]."""
    logs[:] = 0.0
    for axis in range(6):
        faith = x.faith[axis] if x.counts[axis] else 1.0
        if faith > 0:
            add(logs, faith, x.start[axis])
            if is_twice(f, axis):
                logs[RISEN] += faith * x.start[axis, f.risen]
        for c in range(x.counts[axis]):
            if x.shares[axis, c] > 0:
                add(logs, (1 - faith) * x.shares[axis, c], x.taken[axis, c])


@compiled(inline=True)
def add(logs: Floats, share: float, taken: Floats) -> None:
    """Adds a share of what is taken."""
    for at in range(logs.size):
        logs[at] += share * taken[at]


@compiled()
def describe(f: Form, x: Mixture, mean: Floats, swing: Floats) -> None:
    """Fills in what the axes take on the mean [axis, TAKEN], and how far it wavers."""
    for axis in range(6):
        if x.counts[axis] == 0:
            continue
        mean[axis], swing[axis] = 0.0, 0.0
        for c in range(x.counts[axis]):
            mean[axis] += x.shares[axis, c] * x.taken[axis, c]
        for c in range(x.counts[axis]):
            swing[axis] += x.shares[axis, c] * np.abs(x.taken[axis, c] - mean[axis])
        if is_twice(f, axis):
            mean[axis, RISEN] -= mean[axis, f.risen]


@compiled(allocates=False)
def fade(x: Mixture) -> None:
    """Lets what axes start from weigh less."""
    for axis in range(6):
        if x.counts[axis]:
            x.faith[axis] *= FADING
            if x.faith[axis] < FADED:
                x.faith[axis] = 0.0
