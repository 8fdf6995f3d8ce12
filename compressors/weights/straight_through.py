"""Weights projected in every forward pass; gradients pass as if they were not.

Courbariaux, Bengio and David, NIPS 2015; Hwang and Sung, SiPS 2014.
"""

from torch import Tensor

from compressors.codes._code import Code
from compressors.projectors._projector import Projector
from compressors.weights._form import Form, straight_through


class StraightThrough(Form):
    """The projection of a float latent of the weight's shape."""

    def __init__(self, projector: Projector) -> None:
        super().__init__()
        self.projector = projector

    def forward(self, latent: Tensor) -> Tensor:
        return straight_through(self.code(latent).decode(), latent)

    def code(self, latent: Tensor) -> Code:
        return self.projector.project(latent.detach())
