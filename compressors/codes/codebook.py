"""Every element one of a few stored values: weight sharing (Han et al., ICLR 2016, Sec. 3)."""

from typing import Self

from torch import Tensor

from compressors.codes._code import Elementwise, Parts, Stream


class Codebook(Elementwise):
    """`indices` int64 of any shape into `table`, float32 of one axis, which is stored.

    Zeros can be left out of the code where entry 0 of the table is zero.
    """

    decoders = ("codebook",)

    def __init__(self, indices: Tensor, table: Tensor) -> None:
        self.indices, self.table = indices, table.detach().float()
        self.shape = tuple(indices.shape)

    @property
    def holds_zero(self) -> bool:
        return not self.table[0]

    def decode(self) -> Tensor:
        return self.table[self.indices]

    @property
    def width(self) -> int:
        """Bits of an index."""
        return max(1, (len(self.table) - 1).bit_length())

    def make_parts(self) -> Parts:
        streams = {"indices": Stream(self.indices.flatten(), self.width)}
        return Parts({}, streams, {"table": self.table})

    @classmethod
    def of(cls, shape: tuple[int, ...], parts: Parts) -> Self:
        return cls(parts.streams["indices"].symbols.reshape(shape), parts.tables["table"])


CODE = Codebook
