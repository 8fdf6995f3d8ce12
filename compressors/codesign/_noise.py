"""What a trial is likely to cost, given that it was measured on so many images and no more.

Of a thousand images a layer's trial changes a few, so that most measured drops are noise, and an
optimum of many of them is one of luck. The error of the network's output has no such noise. Nor
does it lie about sums: errors of single layers, each too small to change an answer, add up until
they do. So every trial has a part in proportion to its error, at a price that all trials together
say, and its own measurement counts beside that as far as it stands out of its noise.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

TURNS = 20  # of a price and its weights
LEAST = 1e-4  # the drop of the largest error where none was seen, so that smaller errors win ties
Numbers = NDArray[np.float64]


def price(measured: Sequence[float], noise: Sequence[float], errors: Sequence[float]) -> float:
    """The drop of accuracy that an error of 1 costs, 0 or more.

    The slope of least squares, where a drop is off by its noise and, as layers differ, by as much
    as it is expected to be.
    """
    drops, spread, scores = (np.asarray(each, dtype=float) for each in (measured, noise, errors))
    if not np.any(scores):
        return 0.0
    found = _slope(drops, scores, np.ones_like(scores))
    for _ in range(TURNS):
        off = spread**2 + (found * scores) ** 2
        found = _slope(drops, scores, np.divide(1.0, off, out=np.zeros_like(off), where=off > 0))
    return found


def likely_drops(
    measured: Sequence[float], noise: Sequence[float | None], errors: Sequence[float]
) -> list[float]:
    """The drops of trials, from those measured, their standard errors, and output errors.

    Of a deviation d from what the error says the part d^2 / (d^2 + s^2) counts, where s is its
    standard error; a drop below zero counts as none.
    """
    found, scores = np.asarray(measured, dtype=float), np.asarray(errors, dtype=float)
    spread = np.array(known(measured, noise), dtype=float)
    expected = price(measured, [*spread], errors) * scores
    beside = found.clip(min=0.0) - expected
    total = beside**2 + spread**2
    counts = np.divide(beside**2, total, out=np.ones_like(total), where=total > 0)
    least = LEAST * scores / (max(errors, default=0.0) or 1.0)
    return [float(drop) for drop in np.maximum(expected + counts * beside, least)]


def known(measured: Sequence[float], noise: Sequence[float | None]) -> list[float]:
    """Standard errors; where one is missing, what drops below zero say: little that is not trained
    gains."""
    below = [drop**2 for drop in measured if drop < 0]
    usual = float(np.sqrt(np.mean(below))) if below else 0.0
    return [usual if each is None else each for each in noise]


def _slope(drops: Numbers, scores: Numbers, weights: Numbers) -> float:
    whole = float((weights * scores**2).sum())
    return max(0.0, float((weights * scores * drops).sum()) / whole) if whole else 0.0
