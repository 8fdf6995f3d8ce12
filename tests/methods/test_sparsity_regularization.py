"""Penalties on weights; the proximal steps themselves are tested in tests/test_proximal.py."""

import pytest
from torch import nn

from compressors._compress import compress
from compressors._data import Data
from compressors._layers import weighted_layers
from compressors._plan import uniform
from compressors.pruning.targets import density, targets
from tests.methods.conftest import accuracy

SMALL = {"train": {"epochs": 1}, "fit": {"epochs": 1}}
TRAIN = {"epochs": 1, "learning_rate": 0.05, "weight_decay": 0}


def regularised(model: nn.Module, data: Data, **settings: object) -> nn.Module:
    found = {"train": TRAIN, "fit": {"epochs": 0}} | settings
    return compress(model, uniform(("sparsity_regularization", found)), data=data)


def share(model: nn.Module) -> float:
    return density(targets(model, list(weighted_layers(model))))


@pytest.mark.parametrize("norm", ["l0", "l1"])
def test_zeros_grow_with_the_strength(norm: str, mlp: nn.Module, training: Data) -> None:
    found = [
        share(regularised(mlp, training, norm=norm, strength=strength))
        for strength in (0.0, 3e-4, 3e-3)
    ]
    assert found == sorted(found, reverse=True)
    assert found[0] == 1
    assert found[-1] < 0.8


def test_l2_alone_makes_no_zeros(mlp: nn.Module, training: Data) -> None:
    assert share(regularised(mlp, training, norm="l2", strength=3e-3)) == 1
    cut = regularised(mlp, training, norm="l2", strength=1e-3, sparsity=0.8)
    assert share(cut) == pytest.approx(0.2)


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["l1", "l2"])
def test_loses_less_than_a_point_at_80_percent(
    norm: str, mlp: nn.Module, training: Data, testing: Data
) -> None:
    fit = {"epochs": 6, "learning_rate": 0.05}
    found = regularised(
        mlp, training, norm=norm, strength=1e-3, sparsity=0.8, train=TRAIN | {"epochs": 4}, fit=fit
    )
    assert share(found) == pytest.approx(0.2)
    assert accuracy(found, testing) > accuracy(mlp, testing) - 0.01
