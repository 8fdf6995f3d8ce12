"""Activations of one bit, reached by a curve that grows ever steeper.

Cao, Long, Wang and Yu, "HashNet: Deep Learning to Hash by Continuation", ICCV 2017, Sec. 3.2.
"""

import torch
from torch import Tensor

import hwsim.config
from compressors.activations._quantiser import ActivationQuantiser
from compressors.weights._form import straight_through


class Settings(hwsim.config.Config):
    """The shape of one image's ifmap, 1 along axes that share a centre; whether it is signs yet."""

    shape: tuple[int, ...] = (1,)
    exact: bool = True


class ContinuedSigns(ActivationQuantiser):
    """tanh(sharpness x (ifmap - centre)); signs where `exact`, of which zero's is positive."""

    centre: Tensor
    sharpness: Tensor

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.exact = self.binary = settings.exact
        self.register_buffer("centre", torch.zeros(settings.shape))
        self.register_buffer("sharpness", torch.ones(()))
        self.codes = torch.zeros(0)

    @property
    def bits(self) -> int:
        return 1

    def forward(self, ifmap: Tensor) -> Tensor:
        centred = ifmap - self.centre
        if self.exact:
            return straight_through(torch.where(centred >= 0, 1.0, -1.0), centred)
        self.codes = torch.tanh(self.sharpness * centred)
        return self.codes


QUANTISER = ContinuedSigns
