"""Weights that a hash of their place finds in a small table, with a sign that another one gives.

Chen et al., "Compressing Neural Networks with the Hashing Trick", ICML 2015, eq. 3 and 7. With
several fetches and a small network that makes one weight of them: Shi, Feng and Zhu, "Functional
Hashing for Compressing Neural Networks", arXiv:1605.06560, eq. 4. Places need no bits.
"""

from collections.abc import Sequence
from itertools import pairwise
from math import prod
from typing import Self

import torch
from torch import Tensor

from compressors.codes._code import Code, Parts

LOW = 0xFFFFFFFF
GOLDEN = 0x9E3779B9  # 2^32 over the golden ratio, which sets seeds apart
Matrices = tuple[tuple[Tensor, Tensor], ...]


class Hashed(Code):
    """`values` float32 of one axis, fetched `fetches` times for each element of `shape`.

    `matrices`, pairs of a matrix [outputs, inputs] and a bias, are the small network, from
    `fetches` inputs to one output, with tanh between; without any, one fetch is the weight.
    """

    decoders = ("hash",)

    def __init__(
        self,
        shape: tuple[int, ...],
        values: Tensor,
        *,
        seed: int,
        fetches: int = 1,
        matrices: Matrices = (),
    ) -> None:
        self.shape, self.values = shape, values.detach().float()
        self.seed, self.fetches = seed, fetches
        self.matrices = tuple((m.detach().float(), b.detach().float()) for m, b in matrices)

    def decode(self) -> Tensor:
        buckets, signs = hashes(prod(self.shape), len(self.values), self.seed, self.fetches)
        return reconstructed(self.values, buckets, signs, self.matrices).reshape(self.shape)

    def make_parts(self) -> Parts:
        tables = {"values": self.values}
        for index, (matrix, bias) in enumerate(self.matrices):
            tables |= {f"{index}.matrix": matrix, f"{index}.bias": bias}
        return Parts({"seed": self.seed, "fetches": self.fetches}, {}, tables)

    @classmethod
    def of(cls, shape: tuple[int, ...], parts: Parts) -> Self:
        tables = parts.tables
        count = len(tables) // 2
        return cls(
            shape,
            tables["values"],
            seed=parts.settings["seed"],
            fetches=parts.settings["fetches"],
            matrices=tuple((tables[f"{i}.matrix"], tables[f"{i}.bias"]) for i in range(count)),
        )


def hashes(count: int, buckets: int, seed: int, fetches: int) -> tuple[Tensor, Tensor]:
    """Buckets int64 and signs float32, both [count, fetches], of elements in C order."""
    places, signs = [], []
    for fetch in range(fetches):
        keys = torch.arange(count) + GOLDEN * (seed + fetch + 1)
        places.append(mixed(keys) % buckets)
        signs.append(1.0 - 2.0 * (mixed(keys ^ LOW) & 1).float())
    return torch.stack(places, 1), torch.stack(signs, 1)


def mixed(keys: Tensor) -> Tensor:
    """A hash of 32 bits of integers, int64: the finaliser of MurmurHash3 (Appleby)."""
    keys = keys & LOW
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, 1)):
        keys = ((keys ^ (keys >> shift)) * factor) & LOW
    return keys


def reconstructed(
    values: Tensor, buckets: Tensor, signs: Tensor, matrices: Sequence[tuple[Tensor, Tensor]]
) -> Tensor:
    """The weights, one axis, of what is fetched [count, fetches]."""
    found = values[buckets] * signs
    for index, (matrix, bias) in enumerate(matrices):
        found = (torch.tanh(found) if index else found) @ matrix.T + bias
    return found[:, 0]


def sizes(fetches: int, hidden: Sequence[int]) -> list[tuple[int, int]]:
    """Inputs and outputs of each matrix."""
    return list(pairwise((fetches, *hidden, 1)))


CODE = Hashed
