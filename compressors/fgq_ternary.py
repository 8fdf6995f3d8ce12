"""Fine-grained ternary weights: a scale for every few input channels, and without training.

Mellempudi, Kundu, Mudigere, Das, Kaul and Dubey, "Ternary Neural Networks with Fine-Grained
Quantization", arXiv:1705.01462: groups of N = 4 need no training, of N = 64 some. Of N
multiplications a group keeps one. Where there are images, batch normalisations are measured anew.
Activations are another method's.
"""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field
from torch import nn

import hwsim.config
from compressors._data import Data, Needs
from compressors._fit import Fit, settle_batch_norms
from compressors._layers import WEIGHTED
from compressors.projectors.scaled_levels import ScaledLevels
from compressors.training.tuning import has_labels, tune
from compressors.weights._form import set_form_
from compressors.weights.straight_through import StraightThrough

NEEDS, TAKES = Needs.NOTHING, WEIGHTED


class Config(hwsim.config.Config):
    """Input channels of a group (N), bits of its scale, and training where data has labels."""

    group: Annotated[int, Field(ge=1)] = 4
    scale_bits: Annotated[int, Field(ge=2, le=16)] = 8
    fit: Fit = Fit(epochs=0)


def compress(
    model: nn.Module, layers: Sequence[str], config: Config, data: Data | None
) -> nn.Module:
    """The layers with ternary groups; threshold and scale are those of least squared error."""
    projector = ScaledLevels(
        last=0, scope="group", group=config.group, scale_bits=config.scale_bits
    )
    for path in layers:
        set_form_(model.get_submodule(path), StraightThrough(projector))
    if config.fit.epochs and has_labels(data):
        return tune(model, data, config.fit)
    if data is not None:
        settle_batch_norms(model, data.images, batch=config.fit.batch)
    return model
