"""ShiftCNN: weights as sums of N powers of two, without training; convolutions by shift and add.

Gudovskiy and Rigazio, "ShiftCNN: Generalized Low-Precision Architecture for Inference of
Convolutional Neural Networks", arXiv:1706.02393.
"""

from collections.abc import Sequence

from torch import nn

from compressors._data import Data, Needs
from compressors._layers import WEIGHTED
from compressors.projectors.greedy_powers import GreedyPowers
from compressors.weights._form import set_form_
from compressors.weights.straight_through import StraightThrough

NEEDS, TAKES = Needs.NOTHING, WEIGHTED


class Config(GreedyPowers):
    """N codebooks of B bits; the paper's choice is 2 and 4."""


def compress(
    model: nn.Module, layers: Sequence[str], config: Config, data: Data | None
) -> nn.Module:
    """The layers with weights of N * B bits each."""
    for path in layers:
        set_form_(model.get_submodule(path), StraightThrough(config))
    return model
