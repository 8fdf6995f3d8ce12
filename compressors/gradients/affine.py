"""Gradients as affine integers, rounded at random.

Banner, Hubara, Hoffer and Soudry, "Scalable Methods for 8-bit Training of Neural Networks", NeurIPS
2018, Sec. 4 and 5, after gemmlowp.
"""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from hwsim.config import Config


class Affine(Config):
    """2^bits levels from the least to the largest number."""

    bits: Annotated[int, Field(ge=2, le=16)] = 8
    stochastic: bool = True

    def __call__(self, numbers: Tensor) -> Tensor:
        """The numbers, rounded; same shape and type."""
        least, largest = numbers.min(), numbers.max()
        step = (largest - least) / (2**self.bits - 1)
        step = torch.where(step > 0, step, 1.0)
        drawn = torch.rand_like(numbers) if self.stochastic else 0.5
        steps = torch.floor((numbers - least) / step + drawn).clamp(0, 2**self.bits - 1)
        return least + steps * step
