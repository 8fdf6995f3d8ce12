"""Weights that hashes fetch from a table; the table trains, and the small network if there is one.

Chen et al., ICML 2015, eq. 12: a value's gradient is the sum of its weights' gradients with their
signs. Shi, Feng and Zhu, arXiv:1605.06560, Sec. 3.2.
"""

import math

import torch
from torch import Tensor, nn

from compressors.codes.hashed import Hashed, Matrices, hashes, reconstructed, sizes
from compressors.weights._form import Form


class HashedTable(Form):
    """A weight of `shape` from a table of `count` values; `hidden` are the network's layers.

    One fetch and nothing hidden is the plain hashing trick, which starts from each bucket's mean
    of what it stands for; otherwise values and matrices start at random, from `seed`.
    """

    buckets: Tensor
    signs: Tensor

    def __init__(
        self,
        shape: tuple[int, ...],
        count: int,
        *,
        seed: int,
        fetches: int = 1,
        hidden: tuple[int, ...] = (),
    ) -> None:
        super().__init__()
        self.shape, self.count, self.seed, self.fetches = shape, count, seed, fetches
        buckets, signs = hashes(math.prod(shape), count, seed, fetches)
        self.register_buffer("buckets", buckets, persistent=False)
        self.register_buffer("signs", signs, persistent=False)
        pairs = sizes(fetches, hidden) if hidden or fetches > 1 else []
        self.matrices = nn.ParameterList(drawn(o, i, seed=seed) for i, o in pairs)
        self.biases = nn.ParameterList(torch.zeros(o) for _, o in pairs)

    @property
    def network(self) -> Matrices:
        """The matrices and biases."""
        return tuple(zip(self.matrices, self.biases, strict=True))

    def forward(self, latent: Tensor) -> Tensor:
        return reconstructed(latent, self.buckets, self.signs, self.network).reshape(self.shape)

    def right_inverse(self, weight: Tensor) -> Tensor:
        if len(self.matrices):
            return self._fitted_spread(weight)
        sums = torch.zeros(self.count).index_add_(
            0, self.buckets[:, 0], weight.flatten() * self.signs[:, 0]
        )
        return sums / torch.bincount(self.buckets[:, 0], minlength=self.count).clamp(min=1)

    def _fitted_spread(self, weight: Tensor) -> Tensor:
        """Random values; the last matrix is scaled so that weights vary as much as `weight`."""
        values = drawn(self.count, 1, seed=self.seed)[:, 0]
        with torch.no_grad():
            found = reconstructed(values, self.buckets, self.signs, self.network)
            self.matrices[-1] *= weight.std(correction=0) / found.std(correction=0).clamp(min=1e-9)
        return values

    def code(self, latent: Tensor) -> Hashed:
        return Hashed(
            self.shape, latent, seed=self.seed, fetches=self.fetches, matrices=self.network
        )


def drawn(outputs: int, inputs: int, *, seed: int) -> Tensor:
    """A random matrix that keeps the variance of what it multiplies."""
    draw = torch.Generator().manual_seed(seed + outputs)
    return torch.randn(outputs, inputs, generator=draw) / math.sqrt(inputs)
