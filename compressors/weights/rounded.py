"""Weights rounded to levels whose scales are held; a float latent of the same shape trains.

To the nearest level, or, while training, at random to one of the two beside it, in proportion to
how near they are, so that the expected weight is the latent (Gupta et al., ICML 2015, Sec. 3.1).
On the levels -1 and 1 that is BinaryConnect's draw (Courbariaux et al., NIPS 2015, Sec. 2.2), on
-1, 0 and 1 the ternary connection of Lin et al. (ICLR 2016, Sec. 3.2).
"""

import torch
from torch import Tensor

from compressors.codes._blocks import spread
from compressors.codes._level_sets import LevelSet
from compressors.codes.levels import Levels
from compressors.weights._form import Form, straight_through


class Rounded(Form):
    """The levels and scales of `code`, whatever the latent becomes.

    Where `stochastic`, `forward` draws from torch's generator while training; otherwise, and in
    evaluation, it equals `code(latent).decode()`.
    """

    scales: Tensor | None

    def __init__(self, code: Levels, *, stochastic: bool = False) -> None:
        super().__init__()
        self.levels, self.stochastic = code.levels, stochastic
        self.register_buffer("scales", code.scales)

    def forward(self, latent: Tensor) -> Tensor:
        if not (self.stochastic and self.training):
            return straight_through(self.code(latent).decode(), latent)
        indices = drawn(self.levels, self._numbers(latent))
        return straight_through(Levels(indices, self.levels, self.scales).decode(), latent)

    def code(self, latent: Tensor) -> Levels:
        return Levels(self.levels.nearest(self._numbers(latent)), self.levels, self.scales)

    def _numbers(self, latent: Tensor) -> Tensor:
        """The latent in units of the scales."""
        numbers = latent.detach().double()
        if self.scales is None:
            return numbers
        return numbers / spread(self.scales.double(), tuple(latent.shape))


def drawn(levels: LevelSet, numbers: Tensor) -> Tensor:
    """Indices of levels, drawn so that their expectation is `numbers`, float64, clipped."""
    values = levels.values
    lower = (torch.bucketize(numbers, values, right=True) - 1).clamp(0, len(values) - 2)
    share = (numbers - values[lower]) / (values[lower + 1] - values[lower])
    return lower + (torch.rand(numbers.shape) < share)
