"""Jin et al., arXiv:1607.05423. H_k is the nearest tensor with k non-zeros (Sec. 3)."""

from itertools import combinations

import pytest
import torch
from torch import Tensor, nn

import compressors.iterative_hard_thresholding as method
from compressors._compress import compress
from compressors._data import Data
from compressors._fit import Fit, fit
from compressors._layers import weight_of, weighted_layers
from compressors._plan import uniform
from compressors.pruning.pruner import Pruner
from compressors.weights.masked import mask_
from tests.methods.conftest import accuracy

SMALL = {"sparse": {"epochs": 1}, "dense": {"epochs": 1}, "cycles": 1}


def test_projects_to_the_nearest_sparse_tensor() -> None:
    layer = nn.Linear(4, 2)
    before = layer.weight.detach().clone()
    for _ in range(2):  # the second time nothing is left to do
        Pruner().cut_(nn.Sequential(layer), ["0"], 0.625, None)
        error = float((layer.weight.detach() - before).square().sum())
        others = [
            float(before.flatten()[list(gone)].square().sum()) for gone in combinations(range(8), 5)
        ]
        assert int(layer.weight.count_nonzero()) == 3
        assert error == pytest.approx(min(others))


def test_phases_are_sparse_and_dense(
    mlp: nn.Module, training: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    """k non-zeros after each sparse training; after each dense one, all of the neurons that fire:
    others have no gradient.
    """
    densities: list[float] = []
    firing: list[float] = []

    def watched(model: nn.Module, images: Tensor, labels: Tensor, settings: Fit) -> None:
        fit(model, images, labels, settings)
        assert isinstance(model, nn.Sequential)
        weight = weight_of(model.get_submodule("1")).detach()
        alive = (model[:3](images) > 0).float().mean(0) > 0.01
        densities.append(float((weight != 0).double().mean()))
        firing.append(float((weight[alive] != 0).double().mean()))

    monkeypatch.setattr("compressors.iterative_hard_thresholding.fit", watched)
    short = Fit(epochs=0.3, learning_rate=0.05)
    config = method.Config(sparsity=0.75, cycles=2, sparse=short, dense=short)
    method.compress(mlp, ["1"], config, training)
    assert densities[::2] == [0.25] * 3
    assert all(density > 0.99 for density in firing[1::2])


def test_an_earlier_mask_is_kept(mlp: nn.Module, training: Data) -> None:
    mask_(mlp.get_submodule("1"), torch.arange(25600).reshape(100, 256) % 7 > 0)
    pruned = compress(
        mlp, uniform(("iterative_hard_thresholding", SMALL | {"sparsity": 0.5})), data=training
    )
    assert not weight_of(pruned.get_submodule("1")).flatten()[::7].any()


def test_beats_one_shot_magnitudes(mlps: list[nn.Module], training: Data, testing: Data) -> None:
    """At the same number of weights and of sparse epochs; the mean of three networks."""
    two, one, six = ({"epochs": n, "learning_rate": 0.05} for n in (2, 1, 6))
    wanted = {"sparsity": 0.95, "cycles": 2, "sparse": two, "dense": one}
    plan = uniform(("iterative_hard_thresholding", wanted))
    skinny = [compress(one, plan, data=training) for one in mlps]
    for model in skinny:
        layers = weighted_layers(model).values()
        assert sum(int(weight_of(layer).count_nonzero()) for layer in layers) == 1555
    once = {"sparsity": 0.95, "rounds": 1, "allocation": "layer", "fit": six}
    plan = uniform(("magnitude_pruning", once))
    pruned = [compress(one, plan, data=training) for one in mlps]
    gains = [
        accuracy(a, testing) - accuracy(b, testing) for a, b in zip(skinny, pruned, strict=True)
    ]
    assert sum(gains) >= 0
