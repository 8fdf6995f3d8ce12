"""Neurons and filters go that are zero on most inputs, in rounds with retraining between.

Hu, Peng, Tai and Tang, "Network Trimming: A Data-Driven Neuron Pruning Approach towards Efficient
Deep Architectures", arXiv:1607.03250: the average percentage of zeros (APoZ) after ReLU; those
more than a standard deviation above the layer's mean go.
"""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

import hwsim.config
from compressors._data import Data, Needs
from compressors._fit import Fit
from compressors._layers import WEIGHTED
from compressors._probe import feature_maps
from compressors.structure._groups import Group
from compressors.structure._remove import remove_
from compressors.structure._select import (
    atom_scores,
    check_fit,
    groups_of,
    keep_best,
    mended,
    remaining_groups,
)

NAME = "apoz_network_trimming"
NEEDS, TAKES = Needs.IMAGES, WEIGHTED
REMOVES_CHANNELS = True


class Config(hwsim.config.Config):
    """Channels go whose APoZ is more than `deviations` above the mean of their layer.

    `rounds` times, with `fit` after each; `images` of the data are looked at.
    """

    deviations: Annotated[float, Field(ge=0)] = 1.0
    rounds: Annotated[int, Field(ge=1)] = 1
    images: Annotated[int, Field(ge=1)] = 1024
    fit: Fit | None = None


def compress(
    model: nn.Module, layers: Sequence[str], config: Config, data: Data | None
) -> nn.Module:
    """Without the channels of `layers` that are mostly zero.

    Channels that are added up go together, and all their layers must be in `layers`. A layer
    without a ReLU after it keeps all. The network's last layer keeps its width and is refused.
    """
    assert data is not None
    check_fit(config.fit, data, method=NAME)
    groups_of(model, layers, method=NAME)
    for _ in range(config.rounds):
        maps = feature_maps(model, layers, data.first(config.images))
        zeros = {path: found.zeros for path, found in maps.items()}
        groups = remaining_groups(model, layers, method=NAME)
        remove_(model, {g: in_use(g, atom_scores(g, zeros), config.deviations) for g in groups})
        model = mended(model, config.fit, data)
    return model


def in_use(group: Group, zeros: Tensor, deviations: float) -> Tensor:
    """Where, bool [size], the share of zeros is no further above its mean."""
    spread = zeros.std(correction=0) * deviations
    return (zeros <= zeros.mean() + spread) | keep_best(group, -zeros, share=0.0)
