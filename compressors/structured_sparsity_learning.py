"""Structured sparsity learning: group lasso on filters, channels, filter shapes or whole layers.

Wen, Wu, Wang, Chen and Li, "Learning Structured Sparsity in Deep Neural Networks", NIPS 2016,
arXiv:1608.03665.
"""

from collections.abc import Sequence
from typing import Literal

from pydantic import Field
from torch import nn

import hwsim.config
from compressors._data import Data, Needs
from compressors._fit import Fit
from compressors._layers import WEIGHTED
from compressors.pruning.granularity import Granularity, Unit
from compressors.pruning.repair import Retrain
from compressors.pruning.targets import targets
from compressors.training.free import free_
from compressors.training.proximal import GroupLasso, Penalty, soft_threshold, train_

NEEDS, TAKES = Needs.LABELS, WEIGHTED
Structure = Literal["filter", "channel", "shape", "layer"]


class Config(hwsim.config.Config):
    """`train` with `group_strength` times the norms of groups and `strength` times the L1 norm.

    Several `structures` may be penalised at once; "layer", a single group, needs a shortcut around
    the layers. Groups that are zero stay so while `fit` goes on without penalties; removing them
    from the network is a step of its own.
    """

    structures: tuple[Structure, ...] = Field(default=("filter", "channel"), min_length=1)
    group_strength: float = Field(default=3e-4, ge=0, allow_inf_nan=False)
    strength: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    train: Fit = Fit(epochs=3.0, learning_rate=0.05)
    fit: Fit = Fit()


def compress(
    model: nn.Module, layers: Sequence[str], config: Config, data: Data | None
) -> nn.Module:
    """The network with masks in front of its weights."""
    assert data is not None
    for path in layers:
        free_(model.get_submodule(path))
    found = targets(model, layers)
    units = [Granularity(unit=unit) for unit in config.structures]
    penalties = [
        Penalty(target, GroupLasso(unit.of(target.layer)), config.group_strength)
        for target in found
        for unit in units
    ]
    if config.strength:
        penalties += [Penalty(target, soft_threshold, config.strength) for target in found]
    train_(model, data, config.train, penalties)
    for target in found:
        stored = Granularity(unit=_unit(config)).of(target.layer)
        target.cut_(target.value != 0, stored.stored_grid(tuple(target.value.shape)))
    Retrain(fit=config.fit).mend_(model, data, None)
    return model


def _unit(config: Config) -> Unit:
    """The largest group that every zero comes in."""
    if config.strength or ("shape" in config.structures and len(config.structures) > 1):
        return "weight"
    return config.structures[0] if len(config.structures) == 1 else "kernel"
