"""The codebook of least squared error: k-means of the weights of a layer, in one dimension.

Lloyd's iteration from centroids spread evenly between the least and the largest weight, which Han,
Mao and Dally found best (ICLR 2016, Sec. 3.2).
"""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from compressors.codes.codebook import Codebook
from compressors.projectors._projector import Projector

MOST_ROUNDS = 300


class KMeans(Projector):
    """At most 2^`bits` values; zeros, where there are any, keep entry 0 for themselves."""

    bits: Annotated[int, Field(ge=1, le=12)] = 4

    def project(self, weight: Tensor) -> Codebook:
        zeros = weight == 0
        values = weight[~zeros].double()
        if not len(values):
            return Codebook(torch.zeros(weight.shape, dtype=torch.int64), torch.zeros(1))
        reserved = int(bool(zeros.any()))
        table = centroids(values, 2**self.bits - reserved)
        indices = torch.zeros(weight.shape, dtype=torch.int64)
        indices[~zeros] = nearest(values, table) + reserved
        return Codebook(indices, torch.cat([table.new_zeros(reserved), table]))


def centroids(values: Tensor, count: int, importance: Tensor | None = None) -> Tensor:
    """At most `count` centroids of `values` [n], ascending float64; `importance` [n] weighs them.

    A centroid that no value is nearest to is dropped.
    """
    importance = torch.ones_like(values) if importance is None else importance
    distinct: Tensor = torch.unique(values)
    if len(distinct) <= count:
        return distinct
    table = torch.linspace(float(values.min()), float(values.max()), count, dtype=torch.float64)
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
