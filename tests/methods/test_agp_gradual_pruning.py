"""Zhu and Gupta, arXiv:1710.01878. The curve itself is tested in tests/test_pruning.py."""

import pytest
import torch
from torch import nn

from compressors._compress import compress
from compressors._data import Data
from compressors._layers import weight_of, weighted_layers
from compressors._plan import uniform
from tests.methods.conftest import accuracy, trained

SMALL = {"fit": {"epochs": 2}}


def test_every_layer_ends_at_its_sparsity(mlp: nn.Module, training: Data, testing: Data) -> None:
    fit = {"epochs": 3, "learning_rate": 0.05}
    plan = uniform(("agp_gradual_pruning", {"sparsity": 0.8, "fit": fit}))
    pruned = compress(mlp, plan, data=training)
    for layer in weighted_layers(pruned).values():
        weight = weight_of(layer)
        assert int((weight == 0).sum()) == round(0.8 * weight.numel())
    assert accuracy(pruned, testing) > accuracy(mlp, testing) - 0.01


def perceptron(width: int, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(256, width), nn.ReLU(), nn.Linear(width, 10))


@pytest.mark.slow
def test_large_and_sparse_beats_small_and_dense(training: Data, testing: Data) -> None:
    """The paper's claim, at equal numbers of non-zeros and of epochs; mean of three seeds."""
    fit = {"epochs": 10, "learning_rate": 0.05}
    plan = uniform(("agp_gradual_pruning", {"sparsity": 0.9, "fit": fit}))
    sparse, dense = 0.0, 0.0
    for seed in range(3):
        sparse += accuracy(compress(perceptron(60, seed), plan, data=training), testing) / 3
        small = trained(perceptron(6, seed), training, epochs=10, rate=0.05)
        dense += accuracy(small, testing) / 3
    assert sparse > dense
