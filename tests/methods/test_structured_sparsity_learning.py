"""Wen et al., NIPS 2016, arXiv:1608.03665. Removing the zero groups is a step of its own."""

import pytest
from torch import nn

from compressors._compress import compress
from compressors._data import Data
from compressors._layers import weight_of, weighted_layers
from compressors._plan import uniform
from compressors.codes.sparse import Sparse
from compressors.weights._form import code_of
from tests.methods.conftest import accuracy

SMALL = {"train": {"epochs": 1}, "fit": {"epochs": 1}}
AXES = {"filter": (1,), "channel": (0,)}


def learned(model: nn.Module, data: Data, *structures: str, **more: object) -> nn.Module:
    settings = {
        "structures": structures,
        "group_strength": 3e-3,
        "train": {"epochs": 1, "learning_rate": 0.05},
        "fit": {"epochs": 0},
    }
    plan = uniform(("structured_sparsity_learning", settings | more), keep=["5"])
    return compress(model, plan, data=data)


@pytest.mark.parametrize("structure", ["filter", "channel"])
def test_groups_are_zero_as_a_whole(structure: str, mlp: nn.Module, training: Data) -> None:
    weight = weight_of(learned(mlp, training, structure).get_submodule("1"))
    alive, size = (weight != 0).sum(AXES[structure]), weight.shape[AXES[structure][0]]
    assert set(alive.tolist()) == {0, size}


def test_both_structures_leave_a_smaller_matrix(mlp: nn.Module, training: Data) -> None:
    found = learned(mlp, training, "filter", "channel")
    weight = weight_of(found.get_submodule("1"))
    rows, columns = (weight != 0).any(1), (weight != 0).any(0)
    assert bool((weight[rows][:, columns] != 0).all())
    assert int(rows.sum()) < 100


def test_a_bit_tells_of_each_group(mlp: nn.Module, training: Data) -> None:
    layer = learned(mlp, training, "filter").get_submodule("1")
    code, rows = code_of(layer), int((weight_of(layer) != 0).any(1).sum())
    assert isinstance(code, Sparse)
    assert code.bits() == 100 + rows * 256 * 32


def test_a_layer_can_vanish(mlp: nn.Module, training: Data) -> None:
    found = learned(mlp, training, "layer", group_strength=1.0)
    assert not weight_of(found.get_submodule("3")).any()


@pytest.mark.slow
def test_two_fifths_of_the_neurons_lose_less_than_a_point(
    mlp: nn.Module, training: Data, testing: Data
) -> None:
    train, fit = ({"epochs": n, "learning_rate": 0.05} for n in (3, 8))
    found = learned(mlp, training, "filter", group_strength=2e-3, train=train, fit=fit)
    layers = [layer for path, layer in weighted_layers(found).items() if path != "5"]
    alive = [(weight_of(layer) != 0).any(1) for layer in layers]
    gone = 1 - sum(int(one.sum()) for one in alive) / 150
    print(gone, accuracy(mlp, testing), accuracy(found, testing))
    assert gone >= 0.4
    assert accuracy(found, testing) > accuracy(mlp, testing) - 0.01
