"""Connections are kept where neurons correlate, and some where they do not; layer by layer.

Sun, Wang and Tang, "Sparsifying Neural Network Connections for Face Recognition", CVPR 2016,
arXiv:1512.01891.
"""

from collections.abc import Sequence

import torch
from pydantic import Field
from torch import Tensor, nn

import hwsim.config
from compressors._data import Data, Needs
from compressors._fit import Fit
from compressors._layers import WEIGHTED
from compressors.pruning.allocation import Sparsity
from compressors.pruning.correlation import correlations
from compressors.pruning.repair import Retrain
from compressors.pruning.targets import targets

NEEDS, TAKES = Needs.LABELS, WEIGHTED


class Config(hwsim.config.Config):
    """`sparsity` of each layer's weights go, from the last layer to the first; `fit` after each.

    Of those that are kept, a share `high` is drawn from the half that correlates more, the others
    from the half that does less, as they complement the strong ones. The first `images` tell.
    """

    sparsity: Sparsity = 0.5
    high: float = Field(default=0.75, ge=0, le=1)
    images: int = Field(default=1000, ge=2)
    seed: int = Field(default=0, ge=0, lt=2**32)
    fit: Fit = Fit()


def compress(
    model: nn.Module, layers: Sequence[str], config: Config, data: Data | None
) -> nn.Module:
    """The network with masks in front of its weights."""
    assert data is not None
    draw = torch.Generator().manual_seed(config.seed)
    for target in reversed(targets(model, layers)):
        scores = correlations(model, target.layer, data.first(config.images).images)
        target.cut_(sampled(scores, target.alive, config.sparsity, config.high, draw))
        Retrain(fit=config.fit).mend_(model, data, None)
    return model


def sampled(
    scores: Tensor, alive: Tensor, sparsity: float, high: float, draw: torch.Generator
) -> Tensor:
    """Which weights stay: truth values of the shape of `scores`, true only where `alive`.

    1 - `sparsity` of all weights, or what is left of them, at least one.
    """
    order = scores.masked_fill(~alive, -1.0).flatten().argsort(descending=True, stable=True)
    order = order[: int(alive.sum())]
    wanted = min(len(order), max(1, scores.numel() - round(sparsity * scores.numel())))
    strong, weak = order.tensor_split([(len(order) + 1) // 2])
    first = min(len(strong), max(wanted - len(weak), round(high * wanted)))
    stays = torch.zeros(scores.numel(), dtype=torch.bool)
    for half, count in ((strong, first), (weak, wanted - first)):
        stays[half[torch.randperm(len(half), generator=draw)[:count]]] = True
    return stays.reshape(scores.shape)
