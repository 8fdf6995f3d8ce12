"""Where the non-zeros are, and an element-wise code of them alone.

- relative_index: before each non-zero the run of zeros, `index_bits` wide; where a run is longer,
  a zero is stored as if it were none (Han et al., ICLR 2016, Fig. 2).
- bitmap: one bit an element.
"""

from typing import Literal, Self

import torch
from torch import Tensor

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
    """

    def __init__(
        self,
        mask: Tensor,
        inner: Elementwise,
        *,
        places: Places = "relative_index",
        index_bits: int = 4,
    ) -> None:
        if not inner.holds_zero:
            raise InputError(f"sparse code: {inner.kind} has no zero that could be left out")
        self.mask, self.inner = mask & (inner.decode() != 0), inner
        self.places, self.index_bits = places, index_bits
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
        where, stored = self._stored()
        # The symbol of a zero that fills a run too long for its field.
        streams = {
            name: Stream(torch.where(stored >= 0, s.symbols[stored.clamp(min=0)], 0), s.width)
            for name, s in self.inner.parts.streams.items()
        }
        settings = {
            "places": self.places,
            "index_bits": self.index_bits,
            "inner": inner_settings(self.inner),
        }
        return Parts(settings, {"places": where} | streams, self.inner.parts.tables)

    def _stored(self) -> tuple[Stream, Tensor]:
        """The stream of places, and which elements' symbols are stored, -1 for a filling zero."""
        ends = self.mask.flatten().nonzero().flatten()
        if self.places == "bitmap":
            return Stream(self.mask.flatten().long(), 1), ends
        reach = 1 << self.index_bits
        gaps = torch.diff(ends, prepend=ends.new_tensor([-1])) - 1
        at = torch.cumsum(gaps // reach + 1, 0) - 1
        count = int(at[-1]) + 1 if len(at) else 0
        runs = torch.full((count,), reach - 1)
        runs[at] = gaps % reach
        stored = torch.full((count,), -1)
        stored[at] = ends
        return Stream(runs, self.index_bits), stored

    @classmethod
    def of(cls, shape: tuple[int, ...], parts: Parts) -> Self:
        settings = parts.settings
        places = parts.streams["places"].symbols
        if settings["places"] == "bitmap":
            at = places.nonzero().flatten()
        else:
            at = torch.cumsum(places + 1, 0) - 1
        count = torch.Size(shape).numel()
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
        )


CODE = Sparse
