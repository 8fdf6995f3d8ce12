"""Automated gradual pruning: the smallest weights go little by little while the network trains.

Zhu and Gupta, "To Prune, or Not to Prune: Exploring the Efficacy of Pruning for Model Compression",
arXiv:1710.01878.
"""

from collections.abc import Sequence

from torch import nn

from compressors._data import Data, Needs
from compressors._fit import Fit
from compressors._layers import WEIGHTED
from compressors.pruning.allocation import Sparsity
from compressors.pruning.pruner import Pruner
from compressors.pruning.repair import Retrain
from compressors.pruning.schedule import Gradual

NEEDS, TAKES = Needs.LABELS, WEIGHTED


class Config(Gradual):
    """`sparsity` of each layer's weights are gone at the `end` of pruning, a share of `fit`."""

    sparsity: Sparsity = 0.8
    fit: Fit = Fit(epochs=3.0)


def compress(
    model: nn.Module, layers: Sequence[str], config: Config, data: Data | None
) -> nn.Module:
    """The network with masks in front of its weights."""
    assert data is not None
    Pruner(schedule=config, repair=Retrain(fit=config.fit)).prune_(
        model, layers, config.sparsity, data
    )
    return model
