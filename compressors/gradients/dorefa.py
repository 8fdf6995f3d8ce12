"""Gradients in a few bits, each image at a scale of its own, without bias.

Zhou et al., "DoReFa-Net", arXiv:1606.06160, eq. 12.
"""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from hwsim.config import Config


class Dorefa(Config):
    """2 max|g| (quantize_k(g / (2 max|g|) + 1/2 + noise) - 1/2), quantize_k(x) rounding to
    multiples of 1 / (2^bits - 1); the noise, uniform within half of that, makes it unbiased.
    """

    bits: Annotated[int, Field(ge=1, le=16)] = 6

    def __call__(self, gradient: Tensor) -> Tensor:
        """The gradient, N x ..., rounded."""
        most = 2**self.bits - 1
        largest = gradient.abs().flatten(1).max(1).values.reshape(-1, *[1] * (gradient.ndim - 1))
        unit = gradient / torch.where(largest > 0, 2 * largest, 1.0) + 0.5
        noise = torch.rand_like(unit) - 0.5
        steps = torch.round(unit * most + noise).clamp(0, most)
        rounded: Tensor = 2 * largest * (steps / most - 0.5)
        return rounded
