"""Feature maps go whose removal moves the loss least: each is taken out in turn to see.

The measure against which Molchanov et al. rank cheap criteria (ICLR 2017, arXiv:1611.06440,
Sec. 2.1): |L(without) - L|.
"""

from collections.abc import Sequence
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

import hwsim.config
from compressors._data import Data, Needs
from compressors._fit import Fit
from compressors._layers import WEIGHTED
from compressors._probe import batches
from compressors.structure._groups import Group
from compressors.structure._remove import remove_, silenced
from compressors.structure._select import groups_of, keep_most, mended
from hwsim.accuracy import one_thread

NAME = "oracle_pruning"
NEEDS, TAKES = Needs.LABELS, WEIGHTED
REMOVES_CHANNELS = True


class Config(hwsim.config.Config):
    """`keep` is the share of all maps of all layers together that stay; the loss is that of the
    first `images`, once for each map; `fit` retrains.
    """

    keep: Annotated[float, Field(gt=0, le=1)] = 0.5
    images: Annotated[int, Field(ge=1)] = 256
    fit: Fit | None = None


def compress(
    model: nn.Module, layers: Sequence[str], config: Config, data: Data | None
) -> nn.Module:
    """Without the maps of `layers` whose removal alone changes the loss least.

    Maps that are added up go together, and all their layers must be in `layers`. The network's
    last layer keeps its width and is refused.
    """
    assert data is not None
    groups, few = groups_of(model, layers, method=NAME), data.first(config.images)
    scores = {group: loss_changes(model, group, few) for group in groups}
    remove_(model, keep_most(scores, share=config.keep))
    return mended(model, config.fit, data)


def loss_changes(model: nn.Module, group: Group, data: Data) -> Tensor:
    """|loss without an atom - loss|, float64 [size]."""
    found, whole = torch.zeros(group.size, dtype=torch.float64), mean_loss(model, data)
    for atom in range(group.size):
        with silenced(model, group, torch.arange(group.size) == atom):
            found[atom] = abs(mean_loss(model, data) - whole)
    return found


def mean_loss(model: nn.Module, data: Data) -> float:
    """The mean cross entropy."""
    total = 0.0
    with torch.no_grad(), one_thread():
        for images, labels in batches(data):
            assert labels is not None
            total += float(functional.cross_entropy(model(images), labels, reduction="sum"))
    return total / len(data.images)
