"""The product code of least squared error that k-means finds.

Jegou, Douze and Schmid, TPAMI 2011; Gong et al., arXiv:1412.6115, Sec. 3.3: the columns of a matrix
are cut into runs, and the filters' parts within each are clustered.
"""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from compressors.codes.product import Product
from compressors.projectors._projector import Projector

MOST_ROUNDS = 100


class ProductKMeans(Projector):
    """Codebooks of at most 2^`bits` vectors of `length` input channels.

    One for each run of channels, or one for all where `shared`. Clusters start from vectors drawn
    far apart (k-means++) with `seed`.
    """

    length: Annotated[int, Field(ge=1)] = 4
    bits: Annotated[int, Field(ge=1, le=12)] = 6
    shared: bool = False
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0

    def project(self, weight: Tensor) -> Product:
        channels = weight.shape[1]
        runs = -(-channels // self.length)
        length = -(-channels // runs)
        vectors = self._vectors(weight.double(), runs, length)
        found = [clusters(one, 2**self.bits, seed=self.seed) for one in vectors]
        count = max(len(table) for table, _ in found)
        tables = [functional.pad(table, (0, 0, 0, count - len(table))) for table, _ in found]
        table = torch.cat(tables, 1)[:, : length if self.shared else channels]
        indices = torch.stack([members for _, members in found])
        window = weight.shape[2:]
        if self.shared:
            indices = indices.reshape(runs, -1)
        shaped = indices.reshape(runs, len(weight), *window).movedim(0, 1)
        return Product(shaped, table, channels=channels, length=length)

    def _vectors(self, weight: Tensor, runs: int, length: int) -> Tensor:
        """All sub-vectors as [codebooks, vectors, length], zeros where channels run out."""
        padded = functional.pad(weight.movedim(1, -1), (0, runs * length - weight.shape[1]))
        vectors = padded.reshape(-1, runs, length).movedim(1, 0)
        return vectors.reshape(1, -1, length) if self.shared else vectors


def clusters(vectors: Tensor, count: int, *, seed: int) -> tuple[Tensor, Tensor]:
    """At most `count` centres [centres, d] float64 of vectors [n, d], and each one's nearest [n].

    Lloyd's iteration; a centre that no vector is nearest to takes the vector that is worst off.
    """
    distinct, members = torch.unique(vectors, dim=0, return_inverse=True)
    if len(distinct) <= count:
        return distinct, members
    centres = far_apart(vectors, count, seed=seed)
    for _ in range(MOST_ROUNDS):
        squares, members = squared_distances(vectors, centres).min(1)
        mass = torch.bincount(members, minlength=count)
        sums = torch.zeros_like(centres).index_add_(0, members, vectors)
        moved = (sums / mass.clamp(min=1)[:, None]).float().double()
        empty = (mass == 0).nonzero().flatten()
        moved[empty] = vectors[squares.argsort(descending=True, stable=True)[: len(empty)]]
        if torch.equal(moved, centres):
            break
        centres = moved
    return centres, squared_distances(vectors, centres).argmin(1)


def far_apart(vectors: Tensor, count: int, *, seed: int) -> Tensor:
    """Vectors drawn with odds that grow with the square of the distance to those before."""
    draw = torch.Generator().manual_seed(seed)
    chosen = [int(torch.randint(len(vectors), (1,), generator=draw))]
    squares = squared_distances(vectors, vectors[chosen])[:, 0]
    while len(chosen) < count:
        chosen.append(int(torch.multinomial(squares, 1, generator=draw)))
        squares = squares.minimum(squared_distances(vectors, vectors[chosen[-1:]])[:, 0])
    return vectors[chosen]


def squared_distances(vectors: Tensor, centres: Tensor) -> Tensor:
    """[vectors, centres], never below zero."""
    products = vectors @ centres.T
    squares = vectors.square().sum(1)[:, None] - 2 * products + centres.square().sum(1)
    return squares.clamp(min=0)
