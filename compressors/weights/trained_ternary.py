"""Ternary weights with a scale for either sign, both of which train.

Zhu, Han, Mao and Dally, "Trained Ternary Quantization", ICLR 2017, Sec. 3.
"""

import torch
from torch import Tensor, nn

from compressors.codes.signed_scales import SignedScales
from compressors.weights._form import Form


class TrainedTernary(Form):
    """Scales [2], of what exceeds `threshold` times the largest magnitude, and of what falls below
    its negative; between the two, weights are zero.

    A latent's gradient is its weight's, times the scale of its sign where it is not zero (eq. 8).
    """

    def __init__(self, threshold: float) -> None:
        super().__init__()
        self.threshold = threshold
        self.scales = nn.Parameter(torch.ones(2))

    def forward(self, latent: Tensor) -> Tensor:
        positive, negative = self._signs(latent)
        up, down = self.scales
        gate = torch.where(positive, up, torch.where(negative, down, 1.0)).detach()
        return up * positive - down * negative + gate * (latent - latent.detach())

    def _signs(self, latent: Tensor) -> tuple[Tensor, Tensor]:
        limit = self.threshold * latent.detach().abs().max()
        return latent.detach() > limit, latent.detach() < -limit

    def right_inverse(self, weight: Tensor) -> Tensor:
        """The weight itself; the scales start from the means of what they stand for."""
        with torch.no_grad():
            for scale, chosen in zip(self.scales, self._signs(weight), strict=True):
                scale.copy_((weight.abs() * chosen).sum() / chosen.sum().clamp(min=1))
        return weight

    def code(self, latent: Tensor) -> SignedScales:
        positive, negative = self._signs(latent)
        return SignedScales(positive.long() + 2 * negative.long(), self.scales)
