"""Weights of which some are held at the levels of a code, while the rest train.

Zhou et al., "Incremental Network Quantization", ICLR 2017, Sec. 2.2 and 2.3.
"""

import torch
from torch import Tensor

from compressors.codes._code import Code
from compressors.codes.dense import Dense
from compressors.weights._form import Form


class Partly(Form):
    """`value` where `frozen`, truth values of the weight's shape; elsewhere the latent, which alone
    gets a gradient. As a code, float32 words.
    """

    value: Tensor
    frozen: Tensor

    def __init__(self, value: Tensor, frozen: Tensor) -> None:
        super().__init__()
        self.register_buffer("value", value)
        self.register_buffer("frozen", frozen)

    def forward(self, latent: Tensor) -> Tensor:
        return torch.where(self.frozen, self.value, latent)

    def code(self, latent: Tensor) -> Code:
        return Dense(self(latent))
