"""Minifloats: a sign, a few bits of exponent, a few of mantissa.

Gysel, "Ristretto", arXiv:1605.06402, Sec. 4.3.
"""

from typing import Annotated, Self

from pydantic import Field, model_validator
from torch import Tensor

from compressors.codes._level_sets import Minifloats
from compressors.codes.levels import Levels
from compressors.projectors._projector import Projector


class Minifloat(Projector):
    """The nearest number of `bits` bits, `exponent_bits` of them the exponent; larger ones clip."""

    bits: Annotated[int, Field(ge=3, le=16)] = 8
    exponent_bits: Annotated[int, Field(ge=1, le=8)] = 4

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if not 0 <= self.mantissa_bits <= 10:
            raise ValueError(
                f"exponent_bits = {self.exponent_bits}: leaves a mantissa of "
                f"{self.mantissa_bits} bits; 0 to 10 are possible"
            )
        return self

    @property
    def mantissa_bits(self) -> int:
        """Bits that the sign and the exponent leave."""
        return self.bits - 1 - self.exponent_bits

    def project(self, weight: Tensor) -> Levels:
        levels = Minifloats(exponent_bits=self.exponent_bits, mantissa_bits=self.mantissa_bits)
        return Levels(levels.nearest(weight), levels)
