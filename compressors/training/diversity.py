"""A penalty on how different weights are from each other, by sorting instead of in pairs.

Wang, Cai, Bilmes and Noble, "Training Compressed Fully-Connected Networks with a Density-Diversity
Penalty", ICLR 2017, Sec. 3.2.
"""

import torch
from torch import Tensor


def diversity_slope(values: Tensor) -> Tensor:
    """The subgradient of sum over all i, j of |w_i - w_j|: 2 (#smaller - #larger) at each weight.

    Of the shape of `values`; by one sort, O(n log n). Equal weights do not push each other.
    """
    flat = values.detach().flatten()
    ordered = flat.sort().values
    smaller = torch.searchsorted(ordered, flat)
    not_larger = torch.searchsorted(ordered, flat, right=True)
    slope = 2 * (smaller + not_larger - flat.numel())
    return slope.to(values.dtype).reshape(values.shape)
