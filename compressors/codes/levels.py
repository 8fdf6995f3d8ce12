"""Every element one of a set of levels, times the scale of its block.

Fixed point, powers of two, minifloats, binary and ternary weights are this code with different
sets; see `compressors.codes._level_sets`.
"""

from typing import Self

from torch import Tensor

from compressors.codes._blocks import spread
from compressors.codes._code import Elementwise, Parts, Stream
from compressors.codes._level_sets import LEVEL_SET, AnyLevelSet, Powers


class Levels(Elementwise):
    """`indices` int64 of any shape into a set of levels; `scales` of the same rank, see `spread`.

    A scale is stored as a float32 word; where it is 1 for all, none is stored.
    """

    def __init__(self, indices: Tensor, levels: AnyLevelSet, scales: Tensor | None = None) -> None:
        self.indices, self.levels = indices, levels
        self.scales = None if scales is None else scales.detach().float()
        self.shape = tuple(indices.shape)
        self.primitive = levels.primitive
        self.decoders = ("power_of_two",) if isinstance(levels, Powers) else ()

    @property
    def word_bits(self) -> int:
        return self.levels.word_bits

    @property
    def holds_zero(self) -> bool:
        return not self.levels.values[self.levels.zero]

    def decode(self) -> Tensor:
        numbers = self.levels.values[self.indices]
        if self.scales is not None:
            numbers = numbers * spread(self.scales.double(), self.shape)
        return numbers.float()

    def make_parts(self) -> Parts:
        count = len(self.levels.values)
        symbols = (self.indices.flatten() - self.levels.zero) % count
        settings = {
            "levels": self.levels.model_dump(),
            "blocks": None if self.scales is None else list(self.scales.shape),
        }
        tables = {} if self.scales is None else {"scales": self.scales.flatten()}
        return Parts(settings, {"indices": Stream(symbols, self.levels.width)}, tables)

    @classmethod
    def of(cls, shape: tuple[int, ...], parts: Parts) -> Self:
        levels = LEVEL_SET.validate_python(parts.settings["levels"])
        symbols = parts.streams["indices"].symbols
        indices = ((symbols + levels.zero) % len(levels.values)).reshape(shape)
        blocks = parts.settings["blocks"]
        scales = None if blocks is None else parts.tables["scales"].reshape(blocks)
        return cls(indices, levels, scales)


CODE = Levels
