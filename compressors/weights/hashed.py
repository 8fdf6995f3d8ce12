"""Weights that hashes fetch from a table; the table trains, and the small network if there is one.

Chen et al., ICML 2015, eq. 12: a value's gradient is the sum of its weights' gradients with their
signs. Shi, Feng and Zhu, arXiv:1605.06560, Sec. 3.2.
"""

import math

import numpy as np
import torch
from scipy.sparse import csr_matrix
from scipy.sparse.linalg import lsqr
from torch import Tensor, nn

from compressors.codes.hashed import Hashed, Matrices, hashes, reconstructed, sizes
from compressors.weights._form import Form


class HashedTable(Form):
    """A weight of `shape` from a table of `count` values; `hidden` are the network's layers.

    One fetch and nothing hidden is the plain hashing trick. Matrices start at random, from `seed`,
    values where they are nearest to the weight, to first order: with one fetch, at the mean of each
    bucket. Matrices and biases are kept times the square root of the number of weights, so that
    a step moves them by the mean of what each weight asks for, not by the sum.
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
        self.root = math.sqrt(math.prod(shape))
        pairs = sizes(fetches, hidden) if hidden or fetches > 1 else []
        self.matrices = nn.ParameterList(self.root * drawn(o, i, seed=seed) for i, o in pairs)
        self.biases = nn.ParameterList(torch.zeros(o) for _, o in pairs)

    @property
    def network(self) -> Matrices:
        """The matrices and biases."""
        pairs = zip(self.matrices, self.biases, strict=True)
        return tuple((matrix / self.root, bias / self.root) for matrix, bias in pairs)

    def forward(self, latent: Tensor) -> Tensor:
        return reconstructed(latent, self.buckets, self.signs, self.network).reshape(self.shape)

    @torch.no_grad()
    def right_inverse(self, weight: Tensor) -> Tensor:
        slopes = torch.eye(self.fetches)
        for matrix, _ in self.network:
            slopes = matrix @ slopes
        entries = (self.signs * slopes[0]).flatten().double().numpy()
        rows = np.repeat(np.arange(weight.numel()), self.fetches)
        places = (rows, self.buckets.flatten().numpy())
        linear = csr_matrix((entries, places), shape=(weight.numel(), self.count))
        target = weight.detach().flatten().double().numpy()
        return torch.from_numpy(lsqr(linear, target, atol=1e-9, btol=1e-9)[0]).float()

    def code(self, latent: Tensor) -> Hashed:
        return Hashed(
            self.shape, latent, seed=self.seed, fetches=self.fetches, matrices=self.network
        )


def drawn(outputs: int, inputs: int, *, seed: int) -> Tensor:
    """A random matrix that keeps the variance of what it multiplies."""
    draw = torch.Generator().manual_seed(seed + outputs)
    return torch.randn(outputs, inputs, generator=draw) / math.sqrt(inputs)
