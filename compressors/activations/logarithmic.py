"""Activations as powers of two, so that products with them are shifts.

Miyashita, Lee and Murmann, "Convolutional Neural Networks using Logarithmic Data Representation",
arXiv:1603.01025, Sec. 3.
"""

from math import floor, log2
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from compressors.activations._quantiser import ActivationQuantiser
from compressors.fixed.calibration import Observation
from compressors.weights._form import straight_through
from hwsim.config import Config


class Settings(Config):
    """Bits of an activation, one of them a sign unless not `signed`."""

    bits: Annotated[int, Field(ge=2, le=8)] = 4
    signed: bool = False


class Logarithmic(ActivationQuantiser):
    """Zero and the powers of two from 2^`top` down, as many as the bits tell apart.

    A number takes the power nearest in the exponent; what lies below the least is zero, and so is
    what is negative where there is no sign. `top` is a float32 scalar.
    """

    settings: Settings
    top: Tensor

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.register_buffer("top", torch.tensor(0.0))

    @property
    def bits(self) -> int:
        return self.settings.bits

    @property
    def ladder(self) -> int:
        """How many powers there are."""
        return int(2 ** (self.bits - self.settings.signed)) - 1

    def forward(self, ifmap: Tensor) -> Tensor:
        least = 0.0 if not self.settings.signed else -torch.exp2(self.top)
        inside = torch.minimum(ifmap, torch.exp2(self.top)).clamp(min=least)
        exponents = torch.round(torch.log2(inside.detach().abs()))
        held = exponents > self.top - self.ladder
        powers = torch.where(held, torch.exp2(exponents) * inside.detach().sign(), 0.0)
        return straight_through(powers, inside)


def calibrated(settings: Settings, seen: Observation) -> Logarithmic:
    """A quantiser whose largest power is the one nearest in the exponent to the largest seen."""
    quantiser = Logarithmic(settings)
    quantiser.top.fill_(floor(log2(seen.largest) + 0.5) if seen.largest else 0)
    return quantiser


QUANTISER = Logarithmic
