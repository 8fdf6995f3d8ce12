"""Ternary weight networks: -1, 0 and 1 times a scale, trained straight through.

Li, Zhang and Liu, "Ternary Weight Networks", arXiv:1605.04711.
"""

from collections.abc import Sequence

from torch import nn

from compressors._data import Data, Needs
from compressors._fit import Fit
from compressors._layers import WEIGHTED
from compressors.projectors.ternary import Ternary
from compressors.training.tuning import tune
from compressors.weights._form import set_form_
from compressors.weights.straight_through import StraightThrough

NEEDS, TAKES = Needs.LABELS, WEIGHTED


class Config(Ternary):
    """Blocks of a scale, the threshold as a share of the mean magnitude, and the training."""

    fit: Fit = Fit(epochs=1.0)


def compress(
    model: nn.Module, layers: Sequence[str], config: Config, data: Data | None
) -> nn.Module:
    """The layers with ternary weights, the network trained with them."""
    for path in layers:
        set_form_(model.get_submodule(path), StraightThrough(config))
    return tune(model, data, config.fit)
