"""Weights that share the entries of a table; the table trains.

Han, Mao and Dally, ICLR 2016, Sec. 3: an entry's gradient is the sum of its weights' gradients.
"""

from torch import Tensor

from compressors.codes.codebook import Codebook
from compressors.weights._form import Form


class Shared(Form):
    """A table, float32 of one axis, read at fixed `indices` of the weight's shape."""

    indices: Tensor
    start: Tensor

    def __init__(self, code: Codebook) -> None:
        super().__init__()
        self.register_buffer("indices", code.indices)
        self.register_buffer("start", code.table, persistent=False)

    def forward(self, latent: Tensor) -> Tensor:
        return latent[self.indices]

    def right_inverse(self, weight: Tensor) -> Tensor:
        return self.start.clone()

    def code(self, latent: Tensor) -> Codebook:
        return Codebook(self.indices, latent)
