"""Weights that share the entries of a table; the table trains.

Han, Mao and Dally, ICLR 2016, Sec. 3: an entry's gradient is the sum of its weights' gradients.
A step divides it by how many these are on average, so that one rate suits layers of every size.
"""

import torch
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

    def weights_per_number(self, latent: Tensor) -> float:
        """Of the entries that are not zero: those at zero are pruned, most often."""
        entries = latent.detach() != 0
        weights = torch.bincount(self.indices.flatten(), minlength=len(latent))[entries].sum()
        return max(1.0, float(weights) / max(1, int(entries.sum())))

    def code(self, latent: Tensor) -> Codebook:
        return Codebook(self.indices, latent)
