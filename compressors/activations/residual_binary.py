"""Activations as sums of signs: each term binarises what the ones before it left.

Li, Ni, Zhang, Yang and Gao, "Performance Guaranteed Network Acceleration via High-Order Residual
Quantization", ICCV 2017, Sec. 3.2.
"""

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from compressors.activations._quantiser import ActivationQuantiser
from compressors.activations.sign import normalised, sign
from hwsim.config import Config


class Settings(Config):
    """`order` terms; `channels` to normalise beforehand, on axis 1 or the last one, or None."""

    order: Annotated[int, Field(ge=1, le=8)] = 2
    channels: Annotated[int, Field(ge=1)] | None = None
    axis: Literal[1, -1] = 1


class ResidualBinary(ActivationQuantiser):
    """Sum of b_i H_i: H_i = sign(R_i), b_i = mean |R_i| of an image, or of the row that a linear
    layer reads, R_(i+1) = R_i - b_i H_i. Gradients go through all orders.
    """

    settings: Settings
    binary = True

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.norm = nn.BatchNorm1d(settings.channels) if settings.channels else nn.Identity()

    @property
    def bits(self) -> int:
        return self.settings.order

    @property
    def terms(self) -> int:
        return self.settings.order

    def forward(self, ifmap: Tensor) -> Tensor:
        scales, signs = self.expansion(normalised(ifmap, self.norm, axis=self.settings.axis))
        return torch.stack([b * h for b, h in zip(scales, signs, strict=True)]).sum(0)

    def expansion(self, numbers: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """The scales b, which broadcast, and the signs H, each of the numbers' shape."""
        axes = (-1,) if self.settings.axis == -1 else tuple(range(1, numbers.ndim))
        scales, signs, rest = [], [], numbers
        for _ in range(self.settings.order):
            scales.append(rest.abs().mean(axes, keepdim=True))
            signs.append(sign(rest))
            rest = rest - scales[-1] * signs[-1]
        return scales, signs


QUANTISER = ResidualBinary
