"""Pruning of weights, vectors, kernels or filters by one and the same pruner.

Mao, Han, Pool, Li, Liu, Wang and Dally, "Exploring the Regularity of Sparse Structure in
Convolutional Neural Networks", arXiv:1705.08922.
"""

from collections.abc import Sequence

from pydantic import Field
from torch import nn

from compressors._data import Data, Needs
from compressors._fit import Fit
from compressors._layers import WEIGHTED
from compressors.pruning.allocation import Sparsity
from compressors.pruning.granularity import Granularity, Unit
from compressors.pruning.pruner import Pruner
from compressors.pruning.repair import Retrain
from compressors.pruning.schedule import Rounds

NEEDS, TAKES = Needs.LABELS, WEIGHTED


class Config(Granularity):
    """`sparsity` of each layer goes in groups of a `unit`, in rounds of retraining.

    0-D "weight", 1-D "row" or "column", 2-D "kernel", 3-D "filter"; a group is worth the sum of its
    magnitudes. The channels of removed filters stay in the network, as zeros.
    """

    unit: Unit = "row"
    sparsity: Sparsity = 0.6
    rounds: int = Field(default=3, ge=1, le=100)
    fit: Fit = Fit()


def compress(
    model: nn.Module, layers: Sequence[str], config: Config, data: Data | None
) -> nn.Module:
    """The network with masks in front of its weights, stored as groups."""
    assert data is not None
    Pruner(
        granularity=config,
        schedule=Rounds(rounds=config.rounds),
        repair=Retrain(fit=config.fit),
    ).prune_(model, layers, config.sparsity, data)
    return model
