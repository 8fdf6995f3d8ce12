"""Activations of one bit, reached by a curve that grows ever steeper.

Cao, Long, Wang and Yu, "HashNet: Deep Learning to Hash by Continuation", ICCV 2017, Sec. 3.2.
"""

import torch
from torch import Tensor

import hwsim.config
from compressors.activations._quantiser import ActivationQuantiser
from compressors.weights._form import straight_through


class Settings(hwsim.config.Config):
    """Nothing to choose."""


class ContinuedSigns(ActivationQuantiser):
    """tanh(sharpness x (ifmap - centre)); signs once `exact`, where zero counts as positive.

    `centre` has the shape of one image's ifmap, or 1 along axes that share one.
    """

    centre: Tensor
    sharpness: Tensor

    def __init__(self, centre: Tensor) -> None:
        super().__init__(Settings())
        self.exact = False
        self.register_buffer("centre", centre)
        self.register_buffer("sharpness", torch.ones(()))
        self.codes = torch.zeros(0)

    @property
    def bits(self) -> int:
        return 1

    def forward(self, ifmap: Tensor) -> Tensor:
        centred = ifmap - self.centre
        if not self.exact:
            self.codes = torch.tanh(self.sharpness * centred)
            return self.codes
        return straight_through(torch.where(centred >= 0, 1.0, -1.0), centred)
