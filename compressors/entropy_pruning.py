"""Filters go whose pooled maps hold little information, layer by layer with fine-tuning between.

Luo and Wu, "An Entropy-based Pruning Method for CNN Compression", arXiv:1706.05791, Sec. 3.2: each
map is averaged to a number, and H = -sum p log p over a histogram of these numbers over images.
"""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field
from torch import nn

import hwsim.config
from compressors._data import Data, Needs
from compressors._fit import Fit
from compressors._layers import WEIGHTED
from compressors._probe import feature_maps
from compressors.structure._remove import remove_
from compressors.structure._select import (
    atom_scores,
    check_fit,
    fine_tuned,
    keep_best,
    mended,
    one_by_one,
)

NAME = "entropy_pruning"
NEEDS, TAKES = Needs.IMAGES, WEIGHTED
REMOVES_CHANNELS = True


class Config(hwsim.config.Config):
    """`keep` is the share of filters that stay; `images` fill a histogram of `bins`.

    `between` trains after each layer, briefly, and `fit` at the end.
    """

    keep: Annotated[float, Field(gt=0, le=1)] = 0.5
    bins: Annotated[int, Field(ge=2)] = 100
    images: Annotated[int, Field(ge=1)] = 1024
    between: Fit | None = None
    fit: Fit | None = None


def compress(
    model: nn.Module, layers: Sequence[str], config: Config, data: Data | None
) -> nn.Module:
    """Without the filters of `layers` of least entropy.

    Filters whose maps are added up go together, by their mean entropy, and all their layers must
    be in `layers`. The network's last layer keeps its width and is refused.
    """
    assert data is not None
    for settings in (config.between, config.fit):
        check_fit(settings, data, method=NAME)
    for group in one_by_one(model, layers, method=NAME):
        maps = feature_maps(model, group.producers, data.first(config.images))
        entropies = {path: found.entropy(config.bins) for path, found in maps.items()}
        scores = atom_scores(group, entropies)
        remove_(model, {group: keep_best(group, scores, share=config.keep)})
        fine_tuned(model, config.between, data)
    return mended(model, config.fit, data)
