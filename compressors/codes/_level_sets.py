"""Sets of numbers that a weight, divided by its scale, may be; a few settings name each whole."""

from abc import ABC, abstractmethod
from functools import cached_property
from typing import Annotated, Literal

import torch
from pydantic import Field, TypeAdapter
from torch import Tensor

from hwsim.config import Config
from hwsim.workload import Primitive

Exponent = Annotated[int, Field(ge=-120, le=120)]


class LevelSet(Config, ABC):
    """Ascending numbers; `width` bits tell one from another."""

    @abstractmethod
    def make_values(self) -> Tensor:
        """The numbers, float64, ascending."""

    @property
    @abstractmethod
    def primitive(self) -> Primitive:
        """What a multiplication by a level takes."""

    @cached_property
    def values(self) -> Tensor:
        """The numbers, float64, ascending."""
        return self.make_values()

    @cached_property
    def midpoints(self) -> Tensor:
        """Where the nearest level changes."""
        return (self.values[1:] + self.values[:-1]) / 2

    @property
    def width(self) -> int:
        """Bits of an index."""
        return max(1, (len(self.values) - 1).bit_length())

    @property
    def word_bits(self) -> int:
        """Bits of the word that a multiplier takes a level as, in two's complement."""
        return self.width

    @cached_property
    def zero(self) -> int:
        """The index of the level nearest to zero."""
        return int(self.values.abs().argmin())

    def nearest(self, numbers: Tensor) -> Tensor:
        """Indices of the levels nearest to `numbers`, same shape; ties go to the lower one."""
        return torch.bucketize(numbers.double(), self.midpoints.to(numbers.device))


class Integers(LevelSet):
    """All integers of a range: fixed point, once scaled. Ties go to the even one."""

    kind: Literal["integers"] = "integers"
    low: int
    high: int

    def make_values(self) -> Tensor:
        return torch.arange(self.low, self.high + 1, dtype=torch.float64)

    @property
    def primitive(self) -> Primitive:
        alone = max(-self.low, self.high) == 1
        return Primitive.ADD if alone else Primitive.MULTIPLY_ADD

    def nearest(self, numbers: Tensor) -> Tensor:
        return numbers.double().round().clamp(self.low, self.high).long() - self.low


class Signs(LevelSet):
    """-1 and 1; zero counts as positive."""

    kind: Literal["signs"] = "signs"

    def make_values(self) -> Tensor:
        return torch.tensor([-1.0, 1.0], dtype=torch.float64)

    @property
    def primitive(self) -> Primitive:
        return Primitive.ADD

    def nearest(self, numbers: Tensor) -> Tensor:
        return (numbers >= 0).long()


class Odds(LevelSet):
    """The odd integers between -2^bits and 2^bits: 2^bits levels evenly spaced about zero.

    DoReFa-Net's weights (Zhou et al., arXiv:1606.06160, eq. 9).
    """

    kind: Literal["odds"] = "odds"
    bits: Annotated[int, Field(ge=1, le=16)]

    def make_values(self) -> Tensor:
        most = 2**self.bits - 1
        return torch.arange(-most, most + 1, 2, dtype=torch.float64)

    @property
    def primitive(self) -> Primitive:
        return Primitive.ADD if self.bits == 1 else Primitive.MULTIPLY_ADD


class Powers(LevelSet):
    """Zero and, of either sign, 2^first to 2^last (arXiv:1706.02393, Sec. 3; arXiv:1702.03044)."""

    kind: Literal["powers"] = "powers"
    first: Exponent
    last: Exponent

    def make_values(self) -> Tensor:
        ladder = torch.pow(2.0, torch.arange(self.first, self.last + 1, dtype=torch.float64))
        return torch.cat([-ladder.flip(0), torch.zeros(1, dtype=torch.float64), ladder])

    @property
    def primitive(self) -> Primitive:
        return Primitive.ADD if self.first == self.last else Primitive.SHIFT_ADD

    @property
    def word_bits(self) -> int:
        return self.last - self.first + 2


class Minifloats(LevelSet):
    """Numbers of a sign, an exponent with bias 2^(exponent_bits - 1) - 1, and a mantissa.

    As IEEE 754 but without infinities: the largest exponent is one like any other. Ristretto,
    arXiv:1605.06402, Sec. 4.2, has no numbers below the least normal one; here they go on to zero.
    """

    kind: Literal["minifloats"] = "minifloats"
    exponent_bits: Annotated[int, Field(ge=1, le=8)]
    mantissa_bits: Annotated[int, Field(ge=0, le=10)]

    def make_values(self) -> Tensor:
        bias = 2 ** (self.exponent_bits - 1) - 1
        steps = torch.arange(2**self.mantissa_bits, dtype=torch.float64) / 2**self.mantissa_bits
        rows = [steps * 2.0 ** (1 - bias)]
        rows += [(1 + steps) * 2.0 ** (e - bias) for e in range(1, 2**self.exponent_bits)]
        positive = torch.cat(rows)[1:]
        return torch.cat([-positive.flip(0), torch.zeros(1, dtype=torch.float64), positive])

    @property
    def primitive(self) -> Primitive:
        return Primitive.MULTIPLY_ADD


AnyLevelSet = Annotated[Integers | Signs | Odds | Powers | Minifloats, Field(discriminator="kind")]
LEVEL_SET: TypeAdapter[AnyLevelSet] = TypeAdapter(AnyLevelSet)
