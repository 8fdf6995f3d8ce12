"""Eight-bit words for gradients and activations on their way between processors.

Dettmers, "8-Bit Approximations for Parallelism in Deep Learning", ICLR 2016, Sec. 2. A tensor is
divided by its largest magnitude; a table of at most 256 numbers, in which encoding searches and
decoding looks up, is the data type.

- linear: multiples of 1/127.
- mantissa: four bits of exponent to base two, three of mantissa.
- static_tree: three bits of exponent to base ten, four that bisect the decade.
- dynamic_tree: the zeros before the first one are the exponent to base ten, and the bits after it
  bisect the decade, so that large numbers get more of them.
"""

from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

from hwsim.config import Config

Kind = Literal["linear", "mantissa", "static_tree", "dynamic_tree"]


class EightBits(Config):
    """A data type of 8 bits, one of them the sign."""

    kind: Kind = "dynamic_tree"

    @cached_property
    def table(self) -> Tensor:
        """Its numbers, float64, ascending, from -1 to 1."""
        pieces = [spaced(count, low, high) for count, low, high in self._pieces()]
        positive = torch.cat(pieces[::-1])
        return torch.cat([-positive.flip(0), positive.new_zeros(1), positive])

    def _pieces(self) -> list[tuple[int, float, float]]:
        """So many evenly spaced numbers above the one and up to the other; the largest first."""
        match self.kind:
            case "linear":
                return [(127, 0.0, 1.0)]
            case "mantissa":
                return [(8, 0.5 * 2.0**-e, 2.0**-e) for e in range(15)]
            case "static_tree":
                return [(16, 10.0 ** -(e + 1), 10.0**-e) for e in range(7)]
            case "dynamic_tree":
                return [(2 ** (6 - e), 10.0 ** -(e + 1), 10.0**-e) for e in range(7)]

    def encode(self, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """Codes, uint8 of the numbers' shape, and the largest magnitude, one float32."""
        largest = numbers.abs().max()
        unit = numbers.double() / torch.where(largest > 0, largest, 1.0)
        middles = (self.table[1:] + self.table[:-1]) / 2
        return torch.bucketize(unit, middles).to(torch.uint8), largest

    def decode(self, codes: Tensor, largest: Tensor) -> Tensor:
        """The numbers, float32."""
        return (self.table[codes.long()] * largest).float()

    def __call__(self, numbers: Tensor) -> Tensor:
        """What arrives of the numbers."""
        return self.decode(*self.encode(numbers))

    def transfer_bytes(self, numbers: Tensor) -> int:
        """Bytes on the way: a word for each, and the largest magnitude."""
        return numbers.numel() + 4


def spaced(count: int, low: float, high: float) -> Tensor:
    """Evenly spaced numbers, `high` the last and `low` not among them; float64."""
    steps = torch.arange(1, count + 1, dtype=torch.float64) / count
    return low + (high - low) * steps
