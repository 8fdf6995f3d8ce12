"""Every element the sum of what several codes say of it: residual quantisation, ShiftCNN."""

from collections.abc import Mapping
from functools import reduce
from operator import add
from typing import Self, TypeVar

from torch import Tensor

from compressors.codes._code import (
    Code,
    Elementwise,
    Parts,
    Stream,
    inner_code,
    inner_settings,
)
from compressors.codes._level_sets import Powers
from compressors.codes.levels import Levels

Part = TypeVar("Part", Stream, Tensor)


class Sums(Elementwise):
    """Codes of one shape, added from the first on in float64."""

    def __init__(self, codes: tuple[Code, ...]) -> None:
        self.codes = codes
        self.shape = codes[0].shape
        self.primitive = codes[0].primitive
        self.decoders = tuple(sorted({name for code in codes for name in code.decoders}))

    @property
    def word_bits(self) -> int | None:
        """Known of one term, and of powers of two under one scale: the span of their exponents."""
        if len(self.codes) == 1:
            return self.codes[0].word_bits
        sets = [code.levels for code in self.codes if isinstance(code, Levels)]
        powers = [found for found in sets if isinstance(found, Powers)]
        if len(powers) < len(self.codes):
            return None
        return max(one.last for one in powers) - min(one.first for one in powers) + 2

    @property
    def terms(self) -> int:
        return sum(code.terms for code in self.codes)

    @property
    def holds_zero(self) -> bool:
        return all(isinstance(c, Elementwise) and c.holds_zero for c in self.codes)

    def decode(self) -> Tensor:
        return reduce(add, (code.decode().double() for code in self.codes)).float()

    def make_parts(self) -> Parts:
        parts = [code.parts for code in self.codes]
        return Parts(
            {"codes": [inner_settings(code) for code in self.codes]},
            {f"{i}.{name}": s for i, p in enumerate(parts) for name, s in p.streams.items()},
            {f"{i}.{name}": t for i, p in enumerate(parts) for name, t in p.tables.items()},
        )

    @classmethod
    def of(cls, shape: tuple[int, ...], parts: Parts) -> Self:
        codes = []
        for index, noted in enumerate(parts.settings["codes"]):
            own = Parts({}, _of_term(parts.streams, index), _of_term(parts.tables, index))
            codes.append(inner_code(noted, shape, own))
        return cls(tuple(codes))


def _of_term(named: Mapping[str, Part], index: int) -> dict[str, Part]:
    """What belongs to one term, under the names that the term knows it by."""
    start = f"{index}."
    return {name[len(start) :]: part for name, part in named.items() if name.startswith(start)}


CODE = Sums
