"""Guided sparsity learning: a layer that cannot get sparse enough to pay is left dense.

Park, Li, Wen, Tang, Li, Chen and Dubey, "Faster CNNs with Direct Sparse Convolutions and Guided
Pruning", ICLR 2017, arXiv:1608.01409, Sec. 2.4.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field
from torch import nn

import hwsim.config
from compressors._data import Data, Needs
from compressors._fit import Fit
from compressors._layers import WEIGHTED
from compressors.pruning.break_even import break_even, read_break_even, workload
from compressors.pruning.repair import Retrain
from compressors.pruning.targets import Target, density, targets
from compressors.training.free import free_
from compressors.training.proximal import PROX, Norm, Penalty, train_
from hwsim.errors import InputError
from hwsim.hardware import load_machine
from hwsim.objective import Objective

NEEDS, TAKES = Needs.LABELS, WEIGHTED
Density = Annotated[float, Field(ge=0, le=1)]


class Config(hwsim.config.Config):
    """`train` with `strength` times the `norm` of the weights, up to `rounds` times.

    After each, layers that have not half of the zeros that would pay are freed of the penalty for
    good, after the last all that have too few; the zeros of the others stay while `fit` goes on
    without it. The density from which on zeros pay is in `break_even`, by layer or in a CSV file
    (layer, density), or else where the simulator has `machine` cost less than `dense_machine`,
    which has no use for zeros, under the `objective`.
    """

    norm: Norm = "l1"
    strength: float = Field(default=5e-4, ge=0, allow_inf_nan=False)
    rounds: int = Field(default=2, ge=1, le=100)
    break_even: dict[str, Density] | Path | None = None
    machine: str = "zero_skipping"
    dense_machine: str = "eyeriss_v1_int8"
    objective: Objective = "energy"
    train: Fit = Fit(epochs=2.0, learning_rate=0.05, weight_decay=0.0)
    fit: Fit = Fit()


def compress(
    model: nn.Module, layers: Sequence[str], config: Config, data: Data | None
) -> nn.Module:
    """The network with masks in front of the weights of layers for which they pay."""
    assert data is not None
    limits = limits_of(model, layers, config, data)
    for path in layers:
        free_(model.get_submodule(path))
    found = [target for target in targets(model, layers) if limits[target.path] > 0]
    for left in reversed(range(config.rounds)):
        penalties = [Penalty(one, PROX[config.norm], config.strength) for one in found]
        train_(model, data, config.train, penalties)
        needed = 0.5 if left else 1.0
        found = [one for one in found if pays(one, limits[one.path], needed)]
    for target in found:
        target.cut_(target.value != 0)
    Retrain(fit=config.fit).mend_(model, data, None)
    return model


def pays(target: Target, limit: float, needed: float) -> bool:
    """Whether a layer has zeros, and the share `needed` of those that make it pay."""
    zeros = 1 - density([target])
    return zeros > 0 and zeros >= needed * (1 - limit)


def limits_of(
    model: nn.Module, layers: Sequence[str], config: Config, data: Data
) -> dict[str, float]:
    """The density of each layer below which zeros pay. Raises InputError where one is unknown."""
    given = config.break_even
    if given is None:
        sparse, dense = load_machine(config.machine), load_machine(config.dense_machine)
        return break_even(
            workload(model, layers, data.images, sparse), sparse, dense, config.objective
        )
    known = read_break_even(given) if isinstance(given, Path) else given
    for path in layers:
        if path not in known:
            raise InputError(f"layer {path!r}: guided_sparsity_learning: break_even: not given")
    return known
