"""Where the non-zeros are, and an element-wise code of them alone.

Blocks of a grid can stand in for elements: all of a block that has a non-zero is stored, in C order
of blocks and within them, and a place is that of a block (Mao et al., arXiv:1705.08922, Sec. 5).

- relative_index: before each non-zero the run of zeros, `index_bits` wide; where a run is longer,
  a zero is stored as if it were none (Han et al., ICLR 2016, Fig. 2).
- bitmap: one bit an element.
"""

from math import prod
from typing import Literal, Self

import torch
from torch import Tensor

from compressors.codes._blocks import block_numbers
from compressors.codes._code import (
    Elementwise,
    Parts,
    Stream,
    inner_code,
    inner_settings,
)
from hwsim.errors import InputError

Places = Literal["relative_index", "bitmap"]


class Sparse(Elementwise):
    """`mask`, truth values where an element may not be zero, over an element-wise code that can
    tell zero. Raises InputError for one that cannot.

    `grid`, blocks along each axis as in `compressors.codes._blocks.spread`, makes places those of
    blocks rather than of elements.
    """

    def __init__(
        self,
        mask: Tensor,
        inner: Elementwise,
        *,
        places: Places = "relative_index",
        index_bits: int = 4,
        grid: tuple[int, ...] | None = None,
    ) -> None:
        if not inner.holds_zero:
            raise InputError(f"sparse code: {inner.kind} has no zero that could be left out")
        self.mask, self.inner = mask & (inner.decode() != 0), inner
        self.places, self.index_bits, self.grid = places, index_bits, grid
        self.shape = inner.shape
        self.primitive = inner.primitive
        self.decoders = (places, *inner.decoders)

    @property
    def word_bits(self) -> int | None:
        return self.inner.word_bits

    @property
    def terms(self) -> int:
        return self.inner.terms

    def decode(self) -> Tensor:
        return torch.where(self.mask, self.inner.decode(), 0.0)

    def make_parts(self) -> Parts:
        where = self._where()
        stored = _elements(_at(where, self.places), self.grid, self.shape)
        kept = self.mask.flatten()[stored]
        streams = {
            name: Stream(torch.where(kept, s.symbols[stored], 0), s.width)
            for name, s in self.inner.parts.streams.items()
        }
        settings = {
            "places": self.places,
            "index_bits": self.index_bits,
            "grid": None if self.grid is None else list(self.grid),
            "inner": inner_settings(self.inner),
        }
        return Parts(settings, {"places": where} | streams, self.inner.parts.tables)

    def _where(self) -> Stream:
        """The stream of places: of all that is kept, and of zeros that fill runs too long."""
        kept = self._kept()
        if self.places == "bitmap":
            return Stream(kept.long(), 1)
        ends = kept.nonzero().flatten()
        reach = 1 << self.index_bits
        gaps = torch.diff(ends, prepend=ends.new_tensor([-1])) - 1
        at = torch.cumsum(gaps // reach + 1, 0) - 1
        runs = torch.full((int(at[-1]) + 1 if len(at) else 0,), reach - 1)
        runs[at] = gaps % reach
        return Stream(runs, self.index_bits)

    def _kept(self) -> Tensor:
        """Which elements, or blocks, have a non-zero: truth values of one axis."""
        if self.grid is None:
            return self.mask.flatten()
        kept = torch.zeros(prod(self.grid), dtype=torch.bool)
        kept[block_numbers(self.grid, self.shape)[self.mask]] = True
        return kept

    @classmethod
    def of(cls, shape: tuple[int, ...], parts: Parts) -> Self:
        settings = parts.settings
        grid = None if settings["grid"] is None else tuple(settings["grid"])
        at = _elements(_at(parts.streams["places"], settings["places"]), grid, shape)
        count = prod(shape)
        streams = {}
        for name, stored in parts.streams.items():
            if name != "places":
                symbols = torch.zeros(count, dtype=torch.int64)
                symbols[at] = stored.symbols
                streams[name] = Stream(symbols, stored.width)
        inner = inner_code(settings["inner"], shape, Parts({}, streams, parts.tables))
        assert isinstance(inner, Elementwise)
        return cls(
            inner.decode() != 0,
            inner,
            places=settings["places"],
            index_bits=settings["index_bits"],
            grid=grid,
        )


def _at(where: Stream, places: Places) -> Tensor:
    """The elements, or blocks, that a stream of places speaks of, ascending."""
    if places == "bitmap":
        return where.symbols.nonzero().flatten()
    return torch.cumsum(where.symbols + 1, 0) - 1


def _elements(at: Tensor, grid: tuple[int, ...] | None, shape: tuple[int, ...]) -> Tensor:
    """The elements of these blocks, in the order in which they are stored."""
    if grid is None:
        return at
    numbers, order = block_numbers(grid, shape).flatten().sort(stable=True)
    return order[torch.isin(numbers, at)]


CODE = Sparse
