"""Scalar quantisers that count the bits of an entropy code, not the entries of a codebook.

Choi, El-Khamy and Lee, "Towards the Limit of Network Quantization", ICLR 2017, Sec. 4.
"""

from math import log2

import torch
from torch import Tensor

MOST_ROUNDS = 20
BISECTIONS = 10
MOST_COSTS = 2**23  # in memory at a time
Quantised = tuple[Tensor, Tensor]


def entropy_bits(members: Tensor) -> float:
    """Bits a symbol that the best code takes for these."""
    counts = torch.bincount(members)
    share = counts[counts > 0] / len(members)
    return float(-(share * share.log2()).sum())


def entropy_constrained(
    values: Tensor, importance: Tensor, start: Tensor, *, slope: float
) -> Quantised:
    """A table float64, and the entry of each of `values` [n] float64 (Sec. 4.2.2, Alg. 1).

    In turn: to each value the entry of least importance x error + slope x bits; to each entry the
    mean of its values. An entry left without values is dropped.
    """
    table, bits = start, torch.full_like(start, log2(len(start)))
    members = torch.zeros_like(values).long()
    for _ in range(MOST_ROUNDS):
        found = _cheapest(values, importance, table, slope * bits)
        _, members = torch.unique(found, return_inverse=True)
        before, table = (table, bits), _means(values, importance, members)
        bits = -(torch.bincount(members).double() / len(members)).log2()
        if torch.equal(before[0], table) and torch.equal(before[1], bits):
            break
    return table, members


def _cheapest(values: Tensor, importance: Tensor, table: Tensor, price: Tensor) -> Tensor:
    chunk = max(1, MOST_COSTS // len(table))
    parts = zip(torch.split(values, chunk), torch.split(importance, chunk), strict=True)
    return torch.cat(
        [(h[:, None] * (v[:, None] - table).square() + price).argmin(1) for v, h in parts]
    )


def at_rate(values: Tensor, importance: Tensor, start: Tensor, *, rate_bits: float) -> Quantised:
    """The entropy-constrained quantiser that takes at most `rate_bits` a value, found by bisection.

    The slope is searched between none and one at which a bit is worth more than any error.
    """
    spread = float((importance * (values - values.mean()).square()).mean())
    low, high = -14.0, 2.0
    best = entropy_constrained(values, importance, start, slope=spread * 2**high)
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        found = entropy_constrained(values, importance, start, slope=spread * 2**middle)
        if entropy_bits(found[1]) <= rate_bits:
            best, high = found, middle
        else:
            low = middle
    return best


def uniform_cells(values: Tensor, importance: Tensor, count: int) -> Quantised:
    """`count` cells of one width between the extremes, each with its mean (Sec. 4.1)."""
    low, high = float(values.min()), float(values.max())
    width = (high - low) / count if high > low else 1.0
    cells = ((values - low) / width).long().clamp(0, count - 1)
    _, members = torch.unique(cells, return_inverse=True)
    return _means(values, importance, members), members


def _means(values: Tensor, importance: Tensor, members: Tensor) -> Tensor:
    """Each entry's weighted mean, as a float32 number; no entry is without members."""
    sums = torch.bincount(members, importance * values)
    return (sums / torch.bincount(members, importance)).float().double()
