"""An element-wise code times a number for each block, which is a code itself.

Fine-grained ternary weights keep their many scales in eight bits (arXiv:1705.01462, Sec. 3).
"""

from typing import Self

from torch import Tensor

from compressors.codes._blocks import spread
from compressors.codes._code import Elementwise, Parts, inner_code, inner_settings

PREFIX = "scale."


class Scaled(Elementwise):
    """`inner` of any shape; `scales`, a code of the same rank, spread over it, see `spread`."""

    def __init__(self, inner: Elementwise, scales: Elementwise) -> None:
        self.inner, self.scales = inner, scales
        self.shape, self.primitive = inner.shape, inner.primitive

    @property
    def word_bits(self) -> int | None:
        return self.inner.word_bits

    @property
    def terms(self) -> int:
        return self.inner.terms

    @property
    def holds_zero(self) -> bool:
        return self.inner.holds_zero

    def decode(self) -> Tensor:
        scales = spread(self.scales.decode().double(), self.shape)
        return (self.inner.decode().double() * scales).float()

    def make_parts(self) -> Parts:
        inner, scales = self.inner.parts, self.scales.parts
        settings = {
            "inner": inner_settings(self.inner),
            "scales": inner_settings(self.scales),
            "blocks": list(self.scales.shape),
        }
        streams = {PREFIX + name: stream for name, stream in scales.streams.items()}
        tables = {PREFIX + name: table for name, table in scales.tables.items()}
        return Parts(settings, {**inner.streams, **streams}, {**inner.tables, **tables})

    @classmethod
    def of(cls, shape: tuple[int, ...], parts: Parts) -> Self:
        found = []
        for noted, ours in (("inner", False), ("scales", True)):
            own = Parts(
                {},
                {n.removeprefix(PREFIX): s for n, s in parts.streams.items() if _scale(n) == ours},
                {n.removeprefix(PREFIX): t for n, t in parts.tables.items() if _scale(n) == ours},
            )
            size = tuple(parts.settings["blocks"]) if ours else shape
            code = inner_code(parts.settings[noted], size, own)
            assert isinstance(code, Elementwise)
            found.append(code)
        return cls(*found)


def _scale(name: str) -> bool:
    return name.startswith(PREFIX)


CODE = Scaled
