"""Ternary weights with a scale for either sign, both of which train.

Zhu, Han, Mao and Dally, "Trained Ternary Quantization", ICLR 2017, Sec. 3.
"""

import math

import torch
from torch import Tensor, nn

from compressors.codes.signed_scales import SignedScales
from compressors.weights._form import Form


class TrainedTernary(Form):
    """Scales [2], of what exceeds `threshold` times the largest magnitude, and of what falls below
    its negative; between the two, weights are zero.

    A scale's gradient is the sum of its weights' gradients (eq. 7), a latent's is its weight's,
    times the scale of its sign where it is not zero (eq. 8). What trains are `roots`, the scales
    times the square root of the number of weights: by them, a step moves a scale by the mean of
    its weights' gradients, where their sum would throw it about.
    """

    def __init__(self, threshold: float) -> None:
        super().__init__()
        self.threshold = threshold
        self.roots = nn.Parameter(torch.ones(2))
        self.count = 1

    @property
    def scales(self) -> Tensor:
        """The scale of the positive, and of the negative weights."""
        return self.roots / math.sqrt(self.count)

    def forward(self, latent: Tensor) -> Tensor:
        positive, negative = self._signs(latent)
        up, down = self.scales
        gate = torch.where(positive, up, torch.where(negative, down, 1.0)).detach()
        weight: Tensor = up * positive - down * negative
        return weight + gate * (latent - latent.detach())

    def _signs(self, latent: Tensor) -> tuple[Tensor, Tensor]:
        limit = self.threshold * latent.detach().abs().max()
        return latent.detach() > limit, latent.detach() < -limit

    def right_inverse(self, weight: Tensor) -> Tensor:
        """The weight itself; the scales start from the means of what they stand for."""
        chosen = torch.stack(self._signs(weight)).flatten(1)
        sums = (weight.detach().abs().flatten() * chosen).sum(1)
        self.count = weight.numel()
        self.roots.data = sums / chosen.sum(1).clamp(min=1) * math.sqrt(self.count)
        return weight

    def code(self, latent: Tensor) -> SignedScales:
        positive, negative = self._signs(latent)
        return SignedScales(positive.long() + 2 * negative.long(), self.scales)
