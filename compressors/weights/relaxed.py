"""Weights between a float latent and its projection: nearer to it the greater the strength.

Yin et al., "BinaryRelax", SIAM J. Imaging Sciences 2018 (arXiv:1801.06313), eq. 7: the proximal map
of half the strength times the squared distance to the set.
"""

import torch
from torch import Tensor

from compressors.codes._code import Code
from compressors.codes.dense import Dense
from compressors.projectors._projector import Projector
from compressors.weights._form import Form, straight_through


class Relaxed(Form):
    """(strength x projection + latent) / (strength + 1); gradients pass to the latent as it is."""

    strength: Tensor

    def __init__(self, projector: Projector, strength: float) -> None:
        super().__init__()
        self.projector = projector
        self.register_buffer("strength", torch.tensor(strength))

    def forward(self, latent: Tensor) -> Tensor:
        return straight_through(self._value(latent.detach()), latent)

    def _value(self, latent: Tensor) -> Tensor:
        projection = self.projector.project(latent).decode()
        return (self.strength * projection + latent) / (self.strength + 1)

    def code(self, latent: Tensor) -> Code:
        return Dense(self._value(latent.detach()))
