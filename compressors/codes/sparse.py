"""Where the non-zeros are, and an element-wise code of them alone; `_places` has the formats.

Blocks of a grid can stand in for elements: all of a block that has a non-zero is stored, in C order
of blocks and within them, and a place is that of a block (Mao et al., arXiv:1705.08922, Sec. 5).
What a code stores for blocks of its own, such as their scales, stays whole.
"""

from math import prod
from typing import Self

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
from compressors.codes._places import NAMES, Places, found_places, place_streams
from hwsim.errors import InputError


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
        kept, own = self._kept(), self.inner.parts
        where = place_streams(kept, self.places, self.index_bits)
        at = found_places(where, self.places, tuple(kept.shape))
        stored = _elements(at, self.grid, self.shape)
        filled = ~self.mask.flatten()[stored]  # zeros that are stored as if they were none
        whole = {n: s for n, s in own.streams.items() if len(s.symbols) != self.mask.numel()}
        cut = {
            name: Stream(s.symbols[stored].masked_fill(filled, 0), s.width)
            for name, s in own.streams.items()
            if name not in whole
        }
        settings = {
            "places": self.places,
            "index_bits": self.index_bits,
            "grid": None if self.grid is None else list(self.grid),
            "inner": inner_settings(self.inner),
            "whole": list(whole),
        }
        return Parts(settings, where | cut | whole, own.tables)

    def _kept(self) -> Tensor:
        """Which elements, or blocks, have a non-zero: truth values of the shape, or the grid."""
        if self.grid is None:
            return self.mask
        kept = torch.zeros(prod(self.grid), dtype=torch.bool)
        kept[block_numbers(self.grid, self.shape)[self.mask]] = True
        return kept.reshape(self.grid)

    @classmethod
    def of(cls, shape: tuple[int, ...], parts: Parts) -> Self:
        settings = parts.settings
        grid = None if settings["grid"] is None else tuple(settings["grid"])
        at = found_places(parts.streams, settings["places"], grid or shape)
        at = _elements(at, grid, shape)
        streams = {}
        for name, stored in parts.streams.items():
            if name in settings["whole"]:
                streams[name] = stored
            elif name not in NAMES:
                symbols = torch.zeros(prod(shape), dtype=torch.int64)
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


def _elements(at: Tensor, grid: tuple[int, ...] | None, shape: tuple[int, ...]) -> Tensor:
    """The elements of these blocks, in the order in which they are stored."""
    if grid is None:
        return at
    numbers, order = block_numbers(grid, shape).flatten().sort(stable=True)
    return order[torch.isin(numbers, at)]


CODE = Sparse
