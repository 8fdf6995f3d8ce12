"""Numbers rounded to a fixed-point grid, at random or to the nearest.

Gupta, Agrawal, Gopalakrishnan and Narayanan, "Deep Learning with Limited Numerical Precision", ICML
2015, Sec. 3.1.
"""

from math import ldexp
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from hwsim.config import Config


class FixedPoint(Config):
    """<IL, FL>: `bits` bits, `fraction` of them behind the point; beyond, numbers saturate.

    Stochastic: floor(x), or one step more with a probability of what is left, from torch's
    generator, so that the expectation is x.
    """

    bits: Annotated[int, Field(ge=2, le=32)] = 16
    fraction: Annotated[int, Field(ge=-40, le=60)] = 14
    stochastic: bool = True

    def __call__(self, numbers: Tensor) -> Tensor:
        """The numbers, rounded; same shape and type."""
        steps = numbers.double() * ldexp(1.0, self.fraction)
        drawn = torch.rand_like(steps) if self.stochastic else 0.5
        most = 1 << (self.bits - 1)
        rounded = torch.floor(steps + drawn).clamp(-most, most - 1)
        return (rounded * ldexp(1.0, -self.fraction)).to(numbers.dtype)
