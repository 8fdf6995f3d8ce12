"""What a trial is likely to cost, given that it was measured on so many images and no more.

Of a thousand images a layer's trial changes a few, so that most measured drops are noise, and an
optimum of many of them is one of luck. The error of the network's output has no such noise, but is
no accuracy: the monotone curve nearest to all trials says what an error costs on the whole, and a
trial counts beside it as far as it stands out of its own noise.
"""

from collections.abc import Sequence

import numpy as np

from compressors.codesign._sensitivity import curve

LEAST = 1e-4  # the drop of the largest error where none was seen, so that smaller errors win ties


def likely_drops(
    measured: Sequence[float], noise: Sequence[float | None], errors: Sequence[float]
) -> list[float]:
    """The drops of trials, from those measured, their standard errors, and output errors.

    Where a standard error is not known, it is taken to be as large as the drops below zero are:
    what is not trained rarely gains. The part of a deviation d from the curve that counts is
    d^2 / (d^2 + s^2).
    """
    found = np.asarray(measured, dtype=float)
    below = found[found < 0]
    usual = float(np.sqrt(np.mean(below**2))) if below.size else 0.0
    spread = np.array([usual if one is None else one for one in noise], dtype=float)
    expected = np.array([*map(curve(errors, measured), errors)], dtype=float)
    beside = found - expected
    total = beside**2 + spread**2
    counts = np.divide(beside**2, total, out=np.ones_like(total), where=total > 0)
    least = LEAST * np.asarray(errors, dtype=float) / (max(errors, default=0.0) or 1.0)
    return [float(drop) for drop in np.maximum(expected + counts * beside, least)]
