"""Neurons are joined into maxout units, trained, and of each unit those go that win least.

Moya Rueda, Grzeszick and Fink, "Neuron Pruning for Compressing Deep Networks using Maxout
Architectures", GCPR 2017, arXiv:1707.06838: a unit is the largest of its neurons; how often each
is that on the training set ranks them (Sec. 3.2). Down to one neuron a unit, so that what is left
is a plain smaller layer, which keeps the activation function that it had.
"""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field
from torch import nn

import hwsim.config
from compressors._data import Data, Needs
from compressors._fit import Fit
from compressors._layers import WEIGHTED
from compressors.structure._remove import remove_
from compressors.structure._repair import mix_
from compressors.structure._select import fine_tuned, groups_of
from compressors.structure._units import Units, count_wins, hooked

NAME = "maxout_neuron_pruning"
NEEDS, TAKES = Needs.LABELS, WEIGHTED
REMOVES_CHANNELS = True


class Config(hwsim.config.Config):
    """`pieces` neurons make a unit, of which one stays; each loses one a round.

    `fit` trains before every round and once more at the end. Wins are counted on `images`.
    """

    pieces: Annotated[int, Field(ge=2)] = 2
    images: Annotated[int, Field(ge=1)] = 1024
    fit: Fit = Fit(epochs=1.0)


def compress(
    model: nn.Module, layers: Sequence[str], config: Config, data: Data | None
) -> nn.Module:
    """The neurons, or filters, of `layers`, one for each unit of neighbours.

    Where maps are added up, or filtered one by one, units are the same in all layers, and all must
    be in `layers`. The network's last layer keeps its width and is refused.
    """
    assert data is not None
    groups = [Units(model, g, config.pieces) for g in groups_of(model, layers, method=NAME)]
    few = data.first(config.images)
    with hooked(model, groups, Units.joined):
        for _ in range(config.pieces - 1):
            fine_tuned(model, config.fit, data)
            count_wins(model, groups, few)
            for units in groups:
                units.drop_losers()
    for units in groups:
        mix_(model, units.group, units.mix())
    remove_(model, {units.group: units.alive for units in groups})
    return fine_tuned(model, config.fit, data)
