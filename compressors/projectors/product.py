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
MOST_DISTANCES = 2**24  # in memory at a time


class ProductKMeans(Projector):
    """Codebooks of at most 2^`bits` vectors of `length` input channels.

    One for each run of channels, or one for all where `shared`; there a last run that is not full
    ends in zeros. Clusters start from vectors drawn
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
        count = min(2**self.bits, vectors.shape[1])
        together = max(1, MOST_DISTANCES // (vectors.shape[1] * count))
        found = [clusters(part, count, seed=self.seed) for part in torch.split(vectors, together)]
        tables, members = (torch.cat(parts) for parts in zip(*found, strict=True))
        table = tables.movedim(0, 1).flatten(1)[:, : length if self.shared else channels]
        indices = members.reshape(runs, len(weight), *weight.shape[2:]).movedim(0, 1)
        return Product(indices, table, channels=channels, length=length)

    def _vectors(self, weight: Tensor, runs: int, length: int) -> Tensor:
        """All sub-vectors as [codebooks, vectors, length], zeros where channels run out."""
        padded = functional.pad(weight.movedim(1, -1), (0, runs * length - weight.shape[1]))
        vectors = padded.reshape(-1, runs, length).movedim(1, 0)
        return vectors.reshape(1, -1, length) if self.shared else vectors


def clusters(vectors: Tensor, count: int, *, seed: int) -> tuple[Tensor, Tensor]:
    """`count` centres float64 of each of many sets of vectors, and each vector's nearest.

    Vectors are [sets, vectors, length] float64, centres [sets, count, length], nearest ones
    [sets, vectors]. Lloyd's iteration, all sets at once; centres are float32 numbers.
    """
    centres = far_apart(vectors, count, seed=seed)
    for _ in range(MOST_ROUNDS):
        members = nearest(vectors, centres)
        mass = torch.zeros(centres.shape[:2]).double()
        mass.scatter_add_(1, members, torch.ones_like(members).double())
        owners = members[:, :, None].expand_as(vectors)
        sums = torch.zeros_like(centres).scatter_add_(1, owners, vectors)
        means = (sums / mass.clamp(min=1)[:, :, None]).float().double()
        moved = torch.where(mass[:, :, None] > 0, means, centres)
        if torch.equal(moved, centres):
            break
        centres = moved
    return centres, nearest(vectors, centres)


def far_apart(vectors: Tensor, count: int, *, seed: int) -> Tensor:
    """Vectors drawn with odds that grow with the square of the distance to those before.

    Arthur and Vassilvitskii, "k-means++", 2007. Where all are taken, any are.
    """
    draw = torch.Generator().manual_seed(seed)
    squares, chosen = torch.ones(vectors.shape[:2]).double(), list[Tensor]()
    for _ in range(count):
        odds = torch.where(squares.sum(1, keepdim=True) > 0, squares, 1.0)
        place = torch.multinomial(odds, 1, generator=draw)[:, :, None]
        chosen.append(vectors.gather(1, place.expand(-1, 1, vectors.shape[2])))
        squares = squares.minimum((vectors - chosen[-1]).square().sum(2))
    return torch.cat(chosen, 1).float().double()


def nearest(vectors: Tensor, centres: Tensor) -> Tensor:
    """The nearest centre of each vector of each set."""
    return (centres.square().sum(2)[:, None] - 2 * vectors @ centres.mT).argmin(2)
