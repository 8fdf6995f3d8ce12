"""Feature maps go whose removal, by the first term of its Taylor series, moves the loss least.

Molchanov, Tyree, Karras, Aila and Kautz, "Pruning Convolutional Neural Networks for Resource
Efficient Inference", ICLR 2017, arXiv:1611.06440, eq. 8, Sec. 2.2.
"""

from collections.abc import Sequence
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

import hwsim.config
from compressors._data import Data, Needs
from compressors._fit import Fit
from compressors._layers import WEIGHTED, weight_of
from compressors._probe import feature_maps
from compressors.structure._cost import layer_energies_pj, layer_macs
from compressors.structure._groups import Group
from compressors.structure._remove import remove_
from compressors.structure._select import (
    atom_scores,
    groups_of,
    keep_most,
    mended,
    remaining_groups,
)

NAME = "taylor_pruning"
NEEDS, TAKES = Needs.LABELS, WEIGHTED
REMOVES_CHANNELS = True


class Config(hwsim.config.Config):
    """`keep` is the share of all maps of all layers together that stay.

    They go in `rounds`, equally many each time, with `fit` after each (the paper removes one at a
    time). `images` of the data are looked at. `cost` subtracts so much times a map's share of the
    network's MACs, or of its simulated energy where a `machine` is named.
    """

    keep: Annotated[float, Field(gt=0, le=1)] = 0.5
    rounds: Annotated[int, Field(ge=1)] = 4
    images: Annotated[int, Field(ge=1)] = 1024
    cost: Annotated[float, Field(ge=0)] = 0.0
    machine: str | None = None
    fit: Fit | None = None


def compress(
    model: nn.Module, layers: Sequence[str], config: Config, data: Data | None
) -> nn.Module:
    """Without the maps of `layers` that matter least, compared across all of them.

    Maps that are added up go together, and all their layers must be in `layers`. The network's
    last layer keeps its width and is refused.
    """
    assert data is not None
    whole = sum(group.size for group in groups_of(model, layers, method=NAME))
    for turn in range(1, config.rounds + 1):
        scores = saliencies(model, layers, config, data)
        left = whole * (1 - (1 - config.keep) * turn / config.rounds)
        remove_(model, keep_most(scores, share=left / sum(map(len, scores.values()))))
        model = mended(model, config.fit, data)
    return model


def saliencies(
    model: nn.Module, layers: Sequence[str], config: Config, data: Data
) -> dict[Group, Tensor]:
    """The score of each atom: theta over the layer's l2 norm, less its cost."""
    maps = feature_maps(model, layers, data.first(config.images), gradients=True)
    costs = _cost_shares(model, layers, config, data) if config.cost else {}
    scores = {}
    for path, found in maps.items():
        assert found.taylor is not None
        scores[path] = normalised(found.taylor) - config.cost * costs.get(path, 0.0)
    groups = remaining_groups(model, layers, method=NAME)
    return {group: atom_scores(group, scores) for group in groups}


def normalised(theta: Tensor) -> Tensor:
    """Scores over their l2 norm, which makes layers comparable (Sec. 2.2)."""
    length: Tensor = torch.linalg.vector_norm(theta)
    return theta / length.clamp(min=torch.finfo(theta.dtype).tiny)


def _cost_shares(
    model: nn.Module, layers: Sequence[str], config: Config, data: Data
) -> dict[str, float]:
    """The mean share of one map of each layer in what the network costs."""
    if config.machine:
        costs = layer_energies_pj(model, data.images[:4], machine=config.machine)
    else:
        costs = layer_macs(model, data.images[:1])
    total = sum(costs.values())
    return {
        path: costs[path] / total / len(weight_of(model.get_submodule(path))) for path in layers
    }
