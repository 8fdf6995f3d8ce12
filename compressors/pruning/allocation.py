"""How much of each layer is removed.

- layer: the same share of every layer's groups;
- global: the groups of least score per weight, whichever layer they are in;
- std: as global, the score counted in standard deviations of the layer's weights. With magnitudes
  that is Han's threshold q * std of a layer (NIPS 2015, arXiv:1506.02626, Sec. 4), the one quality
  parameter q being what reaches the sparsity asked for.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

Allocation = Literal["layer", "global", "std"]
Sparsity = Annotated[float, Field(ge=0, lt=1)]  # the share of weights that are zero


@dataclass(frozen=True, eq=False)
class Groups:
    """A tensor's groups, [n]: the sum of their scores, how many weights each has, which are left.

    `deviation` is the standard deviation of the weights that are left.
    """

    scores: Tensor
    sizes: Tensor
    alive: Tensor
    deviation: float

    def rank(self, allocation: Allocation) -> Tensor:
        """Float64 [n], least first to go; what is gone already comes before all others."""
        means = self.scores / self.sizes
        if allocation == "std" and self.deviation:
            means = means / self.deviation
        return means.masked_fill(~self.alive, -1.0)


def kept(found: list[Groups], sparsity: float, allocation: Allocation) -> list[Tensor]:
    """Which groups of each tensor stay, so that `sparsity` of all weights goes, or just less.

    At least one group of every tensor stays.
    """
    ranks = [one.rank(allocation) for one in found]
    ranks = [rank.index_fill(0, rank.argmax(), torch.inf) for rank in ranks]
    sizes = [one.sizes for one in found]
    if allocation == "layer":
        return [_strongest(*each, sparsity) for each in zip(ranks, sizes, strict=True)]
    stays = _strongest(torch.cat(ranks), torch.cat(sizes), sparsity)
    return list(torch.split(stays, [len(rank) for rank in ranks]))


def _strongest(rank: Tensor, sizes: Tensor, sparsity: float) -> Tensor:
    """Truth values [n]: all but the least, which together have `sparsity` of the weights."""
    order = rank.argsort(stable=True)
    goes = sizes[order].cumsum(0) <= round(sparsity * int(sizes.sum()))
    return torch.ones_like(goes).index_put((order,), ~goes | rank[order].isinf())
