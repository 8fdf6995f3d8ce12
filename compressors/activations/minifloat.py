"""Activations as minifloats (Gysel, arXiv:1605.06402, Sec. 4.3)."""

from torch import Tensor

from compressors.activations._quantiser import ActivationQuantiser
from compressors.projectors.minifloat import Minifloat as Settings
from compressors.weights._form import straight_through


class Minifloat(ActivationQuantiser):
    """The nearest minifloat; gradients stop beyond the largest."""

    settings: Settings

    @property
    def bits(self) -> int:
        return self.settings.bits

    def forward(self, ifmap: Tensor) -> Tensor:
        code = self.settings.project(ifmap.detach())
        largest = code.levels.values[-1].float()
        return straight_through(code.decode(), ifmap.clamp(-largest, largest))


QUANTISER = Minifloat
