"""Weights squashed by a hyperbolic tangent and rounded to evenly spaced levels without zero.

Zhou et al., "DoReFa-Net", arXiv:1606.06160, eq. 9.
"""

import torch
from torch import Tensor

from compressors.codes._level_sets import Odds
from compressors.codes.levels import Levels
from compressors.weights._form import Form, straight_through


class Squashed(Form):
    """h (2 quantize_k(tanh(w) / (2 max|tanh(w)|) + 1/2) - 1), whose gradient is that of the tangent
    without the rounding; h is the `height`, 1 in the paper.
    """

    height: Tensor

    def __init__(self, bits: int, height: float = 1.0) -> None:
        super().__init__()
        self.levels = Odds(bits=bits)
        self.register_buffer("height", torch.tensor(height))

    def forward(self, latent: Tensor) -> Tensor:
        return straight_through(self.code(latent).decode(), self._unit(latent) * self.height)

    def code(self, latent: Tensor) -> Levels:
        most = 2**self.levels.bits - 1
        numbers = self._unit(latent.detach()).double() * most
        scale = (self.height / most).reshape([1] * latent.ndim)
        return Levels(self.levels.nearest(numbers), self.levels, scale)

    def _unit(self, latent: Tensor) -> Tensor:
        """The squashed weights, the largest of magnitude 1."""
        squashed = torch.tanh(latent)
        largest = squashed.abs().max()
        return squashed / torch.where(largest > 0, largest, 1.0)
