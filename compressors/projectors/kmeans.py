"""The codebook of least squared error: k-means of the weights of a layer, in one dimension.

Lloyd's iteration from centroids spread evenly between the least and the largest weight, which Han,
Mao and Dally found best (ICLR 2016, Sec. 3.2); from even steps of the weights' distribution, or
from random weights.
"""

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from compressors.codes.codebook import Codebook
from compressors.projectors._projector import Projector

MOST_ROUNDS = 300
Start = Literal["linear", "density", "random"]


class KMeans(Projector):
    """At most 2^`bits` values; zeros, where there are any, keep entry 0 for themselves."""

    bits: Annotated[int, Field(ge=1, le=12)] = 4
    start: Start = "linear"
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0

    def project(self, weight: Tensor) -> Codebook:
        zeros = weight == 0
        values = weight[~zeros].double()
        if not len(values):
            return Codebook(torch.zeros(weight.shape, dtype=torch.int64), torch.zeros(1))
        reserved = int(bool(zeros.any()))
        first = starts(values, 2**self.bits - reserved, start=self.start, seed=self.seed)
        table = centroids(values, len(first), start=first)
        indices = torch.zeros(weight.shape, dtype=torch.int64)
        indices[~zeros] = nearest(values, table) + reserved
        return Codebook(indices, torch.cat([table.new_zeros(reserved), table]))


def starts(values: Tensor, count: int, *, start: Start, seed: int = 0) -> Tensor:
    """`count` numbers from which to look for centroids of `values` [n], ascending float64."""
    match start:
        case "linear":
            return torch.linspace(float(values.min()), float(values.max()), count).double()
        case "density":
            places = (torch.arange(count) + 0.5) / count * len(values)
            return values.sort().values[places.long()]
        case "random":
            draw = torch.Generator().manual_seed(seed)
            return values[torch.randperm(len(values), generator=draw)[:count]].sort().values


def centroids(
    values: Tensor, count: int, importance: Tensor | None = None, start: Tensor | None = None
) -> Tensor:
    """At most `count` centroids of `values` [n], ascending float64; `importance` [n] weighs them.

    A centroid that no value is nearest to is dropped.
    """
    importance = torch.ones_like(values) if importance is None else importance
    distinct: Tensor = torch.unique(values)
    if len(distinct) <= count:
        return distinct
    table = starts(values, count, start="linear") if start is None else start
    for _ in range(MOST_ROUNDS):
        members = nearest(values, table)
        mass = torch.bincount(members, importance, len(table))
        sums = torch.bincount(members, importance * values, len(table))
        moved = (sums[mass > 0] / mass[mass > 0]).float().double()
        if torch.equal(moved, table):
            break
        table = moved
    return table


def nearest(values: Tensor, table: Tensor) -> Tensor:
    """The index of the entry of an ascending table nearest to each value."""
    return torch.bucketize(values, (table[1:] + table[:-1]) / 2)
