"""Group-wise brain damage: every filter of a layer reads the same few places of its window.

Lebedev and Lempitsky, "Fast ConvNets Using Group-Wise Brain Damage", CVPR 2016, arXiv:1506.02515.
"""

from collections.abc import Sequence

from pydantic import Field
from torch import nn

from compressors._data import Data, Needs
from compressors._fit import Fit
from compressors._layers import CONVOLUTIONS
from compressors.pruning.allocation import Sparsity
from compressors.pruning.criteria import Magnitude
from compressors.pruning.granularity import Granularity
from compressors.pruning.pruner import Pruner
from compressors.pruning.repair import Retrain
from compressors.pruning.schedule import Gradual
from compressors.pruning.targets import targets
from compressors.training.free import free_
from compressors.training.proximal import GroupLasso, Penalty, train_

NEEDS, TAKES = Needs.LABELS, CONVOLUTIONS


class Config(Gradual):
    """`train` with `strength` times the l2,1 norm, then cut bit by bit to `sparsity` in `fit`.

    A group is one place (c, r, s) of all filters: a column of the lowered matrix, so that a thinner
    dense product is left.
    """

    sparsity: Sparsity = 0.5
    strength: float = Field(default=1e-3, ge=0, allow_inf_nan=False)
    train: Fit = Fit(learning_rate=0.05)
    fit: Fit = Fit(epochs=2.0)


def compress(
    model: nn.Module, layers: Sequence[str], config: Config, data: Data | None
) -> nn.Module:
    """The network with masks that all filters of a layer share."""
    assert data is not None
    shape = Granularity(unit="shape")
    for path in layers:
        free_(model.get_submodule(path))
    found = targets(model, layers)
    lassos = [Penalty(t, GroupLasso(shape.of(t.layer)), config.strength) for t in found]
    train_(model, data, config.train, lassos)
    Pruner(
        granularity=shape,
        criterion=Magnitude(power=2),
        schedule=config,
        repair=Retrain(fit=config.fit),
    ).prune_(model, layers, config.sparsity, data)
    return model
