"""From what calibration saw of an ifmap to the range that its quantiser covers.

- max: all that was seen.
- percentile: all but the largest magnitudes.
- ema: the ends of the batches, averaged with exponential weights (Jacob et al., arXiv:1712.05877,
  Sec. 3.1).
- kl: least information lost, see `threshold` (Migacz, GTC 2017).
- mse: least squared error; the caller searches, since the error depends on the grid.
"""

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from compressors.fixed.calibration import Observation

Rule = Literal["max", "mse", "percentile", "ema", "kl"]
Range = tuple[float, float]
BINS = 2048
DECAY = 0.9  # of a batch's ends in the running average


def ends(seen: Observation, rule: Rule, *, percentile: float, bits: int) -> Range:
    """The least and the largest number to cover; "mse" starts from all that was seen."""
    least, largest = min(low for low, _ in seen.ends), max(high for _, high in seen.ends)
    match rule:
        case "percentile":
            return within(least, largest, _percentile(seen, percentile))
        case "ema":
            return _averaged(seen.ends)
        case "kl":
            return within(least, largest, _entropy_threshold(seen, bits=bits))
    return least, largest


def within(least: float, largest: float, threshold: float) -> Range:
    """The part of a range in which magnitudes are no larger than a threshold."""
    return max(least, -threshold), min(largest, threshold)


def _percentile(seen: Observation, percentile: float) -> float:
    magnitudes = seen.values.abs().numpy()
    return float(np.percentile(magnitudes, percentile, method="inverted_cdf"))


def _averaged(batches: list[Range]) -> Range:
    average = np.array(batches[0])
    for batch in batches[1:]:
        average = DECAY * average + (1 - DECAY) * np.array(batch)
    return float(average[0]), float(average[1])


def _entropy_threshold(seen: Observation, *, bits: int) -> float:
    magnitudes = seen.values.abs()
    # Zero is exact on every grid: counting it, a rectified ifmap would seem to be nothing else.
    histogram = torch.histc(magnitudes[magnitudes > 0], BINS, min=0.0, max=seen.largest or 1.0)
    counts = without_spikes(histogram.double().numpy())
    return threshold(counts, levels=2 ** (bits - 1)) * seen.largest / BINS


def without_spikes(histogram: NDArray[np.float64]) -> NDArray[np.float64]:
    """No bin higher than both of its neighbours among those that are not empty.

    One value that comes very often, as that of a plain background, fills one bin. Any grid holds it
    as well as what is beside it, but the divergence would pay dearly for merging them.
    """
    filled = histogram > 0
    counts = histogram[filled]
    if len(counts) < 2:
        return histogram
    padded = np.concatenate([counts[1:2], counts, counts[-2:-1]])
    found = np.zeros_like(histogram)
    found[filled] = np.minimum(counts, np.maximum(padded[:-2], padded[2:]))
    return found


def threshold(histogram: NDArray[np.float64], *, levels: int) -> float:
    """Where to clip, in bins: i + 0.5 for the i, `levels` to all, of least KL(P || Q).

    P is the first i bins, with all beyond added to the last; Q are the same bins without, merged
    into `levels` levels and spread out again over those where P is not zero. The largest of equals.
    """
    bins = len(histogram)
    if not histogram.any() or levels >= bins:
        return float(bins)
    losses = np.array([divergence(histogram, i, levels) for i in range(levels, bins + 1)])
    best = bins - int(np.argmin(losses[::-1]))
    return min(best + 0.5, float(bins))


def divergence(histogram: NDArray[np.float64], kept: int, levels: int) -> float:
    """KL(P || Q) in nats for so many bins kept; infinite where Q lacks what P has."""
    p = histogram[:kept].copy()
    p[-1] += histogram[kept:].sum()
    starts = np.arange(levels) * kept // levels
    filled = p > 0
    sums, counts = np.add.reduceat(histogram[:kept], starts), np.add.reduceat(filled, starts)
    level = np.repeat(np.arange(levels), np.diff(starts, append=kept))
    q = np.where(filled, (sums / np.maximum(counts, 1))[level], 0.0)
    if not q.any() or (q[filled] == 0).any():
        return float("inf")
    p, q = p[filled] / p.sum(), q[filled] / q.sum()
    return float((p * np.log(p / q)).sum())
