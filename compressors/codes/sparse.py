"""Where the non-zeros are, and an element-wise code of them alone; `_places` has the formats."""

from typing import Self

import torch
from torch import Tensor

from compressors.codes._code import (
    Elementwise,
    Parts,
    Stream,
    inner_code,
    inner_settings,
)
from compressors.codes._places import NAMES, Places, found_places, stored_places
from hwsim.errors import InputError


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
        where, stored = stored_places(self.mask, self.places, self.index_bits)
        own = self.inner.parts
        # What a code stores for blocks, such as their scales, is not of elements and stays whole.
        whole = {n: s for n, s in own.streams.items() if len(s.symbols) != self.mask.numel()}
        # The symbol of a zero that fills a run too long for its field.
        cut = {
            name: Stream(torch.where(stored >= 0, s.symbols[stored.clamp(min=0)], 0), s.width)
            for name, s in own.streams.items()
            if name not in whole
        }
        settings = {
            "places": self.places,
            "index_bits": self.index_bits,
            "inner": inner_settings(self.inner),
            "whole": list(whole),
        }
        return Parts(settings, where | cut | whole, own.tables)

    @classmethod
    def of(cls, shape: tuple[int, ...], parts: Parts) -> Self:
        settings = parts.settings
        at = found_places(parts.streams, settings["places"], shape)
        streams = {}
        for name, stored in parts.streams.items():
            if name in settings["whole"]:
                streams[name] = stored
            elif name not in NAMES:
                symbols = torch.zeros(torch.Size(shape).numel(), dtype=torch.int64)
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
