"""Iterative hard thresholding: train the k largest weights, then all of them, and so on.

Jin, Yuan, Feng and Yan, "Training Skinny Deep Neural Networks with Iterative Hard Thresholding
Methods", arXiv:1607.05423, Alg. 1.
"""

from collections.abc import Sequence

from pydantic import Field
from torch import nn

import hwsim.config
from compressors._data import Data, Needs
from compressors._fit import Fit, fit
from compressors._layers import WEIGHTED
from compressors.pruning.allocation import Sparsity
from compressors.pruning.pruner import Pruner
from compressors.pruning.targets import targets
from compressors.training.free import reopen_

NEEDS, TAKES = Needs.LABELS, WEIGHTED


class Config(hwsim.config.Config):
    """`cycles` times `sparse` with what a cut to `sparsity` leaves, and `dense` with all weights.

    The last training is sparse. Weights come back at zero, as the paper has it.
    """

    sparsity: Sparsity = 0.8
    cycles: int = Field(default=2, ge=0, le=100)
    sparse: Fit = Fit()
    dense: Fit = Fit()


def compress(
    model: nn.Module, layers: Sequence[str], config: Config, data: Data | None
) -> nn.Module:
    """The network with masks in front of its weights."""
    assert data is not None
    assert data.labels is not None
    found, pruner = targets(model, layers), Pruner()
    allowed = [target.alive for target in found]
    for cycle in range(config.cycles + 1):
        pruner.cut_(model, layers, config.sparsity, data)
        fit(model, data.images, data.labels, config.sparse)
        if cycle < config.cycles:
            for target, mask in zip(found, allowed, strict=True):
                reopen_(target.layer, mask)
            fit(model, data.images, data.labels, config.dense)
    return model
