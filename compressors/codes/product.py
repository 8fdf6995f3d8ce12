"""Sub-vectors of a weight, each one of a few stored: product quantisation.

Jegou, Douze and Schmid, "Product Quantization for Nearest Neighbor Search", TPAMI 2011; of weights:
Gong et al., arXiv:1412.6115; executed by tables: Wu et al., CVPR 2016.
"""

from typing import Self

import torch
from torch import Tensor

from compressors.codes._code import Code, Parts, Stream
from hwsim.workload import Primitive


class Product(Code):
    """Runs of `length` input channels, each one of the k rows of its codebook.

    `indices` int64 [K, M, ...]: the row for each run of a weight [K, C, ...] at each place of its
    window, M = ceil(C / length). `table` float32 [k, C], where every run along C has a codebook of
    its own, or [k, length], where all have the same. With `by_tables` a machine computes the
    products of inputs and codebook rows once for all filters, and looks them up and adds them.
    """

    decoders = ("product",)

    def __init__(
        self, indices: Tensor, table: Tensor, *, channels: int, length: int, by_tables: bool = False
    ) -> None:
        self.indices, self.table = indices, table.detach().float()
        self.length, self.by_tables = length, by_tables
        self.shape = (indices.shape[0], channels, *indices.shape[2:])
        self.primitive = Primitive.LOOKUP_ADD if by_tables else Primitive.MULTIPLY_ADD

    @property
    def width(self) -> int:
        """Bits of an index, which stands for `length` weights."""
        return max(1, (len(self.table) - 1).bit_length())

    def decode(self) -> Tensor:
        return read(self.table, self.indices, channels=self.shape[1], length=self.length)

    def make_parts(self) -> Parts:
        settings = {"length": self.length, "by_tables": self.by_tables}
        streams = {"indices": Stream(self.indices.flatten(), self.width)}
        return Parts(settings, streams, {"table": self.table})

    @classmethod
    def of(cls, shape: tuple[int, ...], parts: Parts) -> Self:
        length = parts.settings["length"]
        runs = (shape[0], -(-shape[1] // length), *shape[2:])
        return cls(
            parts.streams["indices"].symbols.reshape(runs),
            parts.tables["table"],
            channels=shape[1],
            length=length,
            by_tables=parts.settings["by_tables"],
        )


def read(table: Tensor, indices: Tensor, *, channels: int, length: int) -> Tensor:
    """The weight [K, channels, ...] that `table` and `indices` stand for, as `Product` has them."""
    rows = indices.repeat_interleave(length, dim=1).narrow(1, 0, channels)
    columns = torch.arange(channels, device=table.device) % table.shape[1]
    return table[rows, columns.reshape(-1, *[1] * (indices.ndim - 2))]


CODE = Product
