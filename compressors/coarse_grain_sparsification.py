"""Coarse-grain sparsification: random blocks of a matrix are left out, and the rest is trained.

Kadetotad, Arunachalam, Chakrabarti and Seo, "Efficient Memory Compression in Deep Neural Networks
Using Coarse-Grain Sparsification for Speech Applications", ICCAD 2016. The paper goes on to 5 or 6
bits a weight, which is a step of its own in a plan.
"""

from collections.abc import Sequence

from pydantic import Field
from torch import nn

import hwsim.config
from compressors._data import Data, Needs
from compressors._fit import Fit
from compressors._layers import LINEAR
from compressors.pruning.allocation import Sparsity
from compressors.pruning.criteria import Random
from compressors.pruning.granularity import Granularity, Size
from compressors.pruning.pruner import Pruner
from compressors.pruning.repair import Retrain

NEEDS, TAKES = Needs.LABELS, LINEAR


class Config(hwsim.config.Config):
    """`sparsity` of a layer's blocks, outputs x inputs, are left out before `fit` trains."""

    sparsity: Sparsity = 0.75
    block: tuple[Size, Size] = (64, 64)
    seed: int = Field(default=0, ge=0, lt=2**32)
    fit: Fit = Fit(epochs=3.0, learning_rate=0.05)


def compress(
    model: nn.Module, layers: Sequence[str], config: Config, data: Data | None
) -> nn.Module:
    """The network with masks that are constant over blocks; a bit a block says which are kept."""
    assert data is not None
    Pruner(
        granularity=Granularity(unit="block", block=config.block),
        criterion=Random(seed=config.seed),
        repair=Retrain(fit=config.fit),
    ).prune_(model, layers, config.sparsity, data)
    return model
