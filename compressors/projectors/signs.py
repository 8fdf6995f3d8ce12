"""Binary weights: signs times the scale of least squared error, their mean magnitude.

Rastegari et al., "XNOR-Net", ECCV 2016, eq. 6: alpha = ||W||_1 / n.
"""

from torch import Tensor

from compressors.codes._level_sets import Signs as SignSet
from compressors.codes.levels import Levels
from compressors.projectors._projector import Projector, Scope, rows, scale_shape


class Signs(Projector):
    """-1 and 1, scaled by the mean magnitude of the layer or of each filter, or not at all."""

    scope: Scope = "filter"
    scaled: bool = True

    def project(self, weight: Tensor) -> Levels:
        levels = SignSet()
        if not self.scaled:
            return Levels(levels.nearest(weight), levels)
        means = rows(weight.double(), self.scope).abs().mean(1)
        return Levels(
            levels.nearest(weight), levels, means.reshape(scale_shape(weight, self.scope))
        )
