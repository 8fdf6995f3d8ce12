"""Every element as a float32 word."""

from typing import Self

import torch
from torch import Tensor

from compressors.codes._code import FLOAT_BITS, Elementwise, Parts, Stream


class Dense(Elementwise):
    """The values themselves, float32 of any shape."""

    def __init__(self, values: Tensor) -> None:
        # Adding zero turns -0 into 0, so that symbol 0 is the only zero.
        self.values = values.detach().float() + 0.0
        self.shape = tuple(values.shape)

    def decode(self) -> Tensor:
        return self.values

    def make_parts(self) -> Parts:
        words = self.values.contiguous().view(torch.int32).flatten().long() & 0xFFFFFFFF
        return Parts({}, {"values": Stream(words, FLOAT_BITS)})

    @classmethod
    def of(cls, shape: tuple[int, ...], parts: Parts) -> Self:
        words = parts.streams["values"].symbols.to(torch.int32)
        return cls(words.view(torch.float32).reshape(shape))


CODE = Dense
