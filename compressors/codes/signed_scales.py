"""Ternary weights with a scale of its own for either sign (Zhu et al., ICLR 2017)."""

from typing import Self

import torch
from torch import Tensor

from compressors.codes._code import Elementwise, Parts, Stream
from hwsim.workload import Primitive


class SignedScales(Elementwise):
    """`symbols` int64 of any shape: 0, 1 and 2 stand for 0, `scales[0]` and -`scales[1]`.

    A machine adds up what each sign gathers, and multiplies twice for each output.
    """

    primitive = Primitive.ADD

    def __init__(self, symbols: Tensor, scales: Tensor) -> None:
        self.symbols, self.scales = symbols, scales.detach().float()
        self.shape = tuple(symbols.shape)

    @property
    def word_bits(self) -> int:
        return 2

    def decode(self) -> Tensor:
        positive, negative = self.scales
        return torch.stack([torch.zeros_like(positive), positive, -negative])[self.symbols]

    def make_parts(self) -> Parts:
        return Parts({}, {"symbols": Stream(self.symbols.flatten(), 2)}, {"scales": self.scales})

    @classmethod
    def of(cls, shape: tuple[int, ...], parts: Parts) -> Self:
        return cls(parts.streams["symbols"].symbols.reshape(shape), parts.tables["scales"])


CODE = SignedScales
