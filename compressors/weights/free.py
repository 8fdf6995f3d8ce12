"""Weights without a form of their own; what is around them, such as a mask, stays."""

from torch import Tensor

from compressors.codes.dense import Dense
from compressors.weights._form import Form


class Free(Form):
    """The latent itself."""

    def forward(self, latent: Tensor) -> Tensor:
        return latent + 0.0

    def code(self, latent: Tensor) -> Dense:
        return Dense(latent)
