"""Sun, Wang and Tang, CVPR 2016, arXiv:1512.01891."""

import numpy as np
import pytest
import torch
from torch import nn

from compressors._compress import compress
from compressors._data import Data
from compressors._fit import Fit, fit
from compressors._layers import weight_of, weighted_layers
from compressors._plan import uniform
from compressors.correlation_connection_pruning import sampled
from compressors.pruning.correlation import correlations
from compressors.sensitivity_pruning_karnin import restart_
from compressors.weights.masked import mask_
from tests.methods.conftest import accuracy

SMALL = {"fit": {"epochs": 1}}


def test_correlations_are_numpys_for_linear_layers() -> None:
    torch.manual_seed(0)
    first, last = nn.Linear(5, 4), nn.Linear(4, 3)
    model, images = nn.Sequential(first, nn.ReLU(inplace=True), last), torch.randn(50, 5)
    hidden = first(images).relu().detach()
    found = correlations(model, last, images)
    wanted = np.corrcoef(hidden.T.numpy(), last(hidden).detach().T.numpy())[4:, :4]
    assert np.allclose(found.numpy(), np.abs(wanted), atol=1e-5)


@pytest.mark.parametrize("groups", [1, 2])
def test_correlations_are_means_over_places_for_convolutions(groups: int) -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(2, 4, (2, 3), stride=(1, 2), groups=groups)
    images = torch.randn(30, 2, 4, 7)
    found, ofmap = correlations(layer, layer, images), layer(images).detach()
    for k, c, r, s in ((0, 0, 0, 0), (3, 0, 1, 2), (2, 0, 0, 1)):
        channel = c + (k // 2 if groups == 2 else 0)
        each = [
            np.corrcoef(images[:, channel, p + r, 2 * q + s], ofmap[:, k, p, q])[0, 1]
            for p in range(3)
            for q in range(3)
        ]
        assert float(found[k, c, r, s]) == pytest.approx(np.abs(each).mean(), abs=1e-5)


def test_a_controlled_share_correlates_little() -> None:
    scores = torch.rand(10, 20, generator=torch.Generator().manual_seed(0))
    alive = torch.ones(10, 20, dtype=torch.bool)
    for sparsity, high, strong in (
        (0.6, 0.75, 60),
        (0.6, 1.0, 80),
        (0.2, 0.5, 80),
        (0.1, 0.9, 100),
    ):
        stays = sampled(scores, alive, sparsity, high, torch.Generator().manual_seed(1))
        assert int(stays.sum()) == round(200 * (1 - sparsity))
        assert int((stays & (scores >= scores.flatten().sort().values[100])).sum()) == strong


def test_an_earlier_mask_is_kept() -> None:
    scores, alive = torch.rand(8, 8), torch.eye(8, dtype=torch.bool)
    stays = sampled(scores, alive, 0.5, 0.75, torch.Generator())
    assert torch.equal(stays, alive)


@pytest.mark.slow
def test_sparse_from_dense_beats_the_same_mask_from_scratch(
    mlp: nn.Module, training: Data, testing: Data
) -> None:
    """The paper's finding, at equal numbers of epochs after the mask."""
    rate = {"epochs": 2, "learning_rate": 0.05}
    plan = uniform(("correlation_connection_pruning", {"sparsity": 0.8, "fit": rate}))
    pruned = compress(mlp, plan, data=training)
    for layer in weighted_layers(pruned).values():
        weight = weight_of(layer)
        assert int((weight == 0).sum()) == round(0.8 * weight.numel())
    masks = {p: weight_of(one).detach() != 0 for p, one in weighted_layers(pruned).items()}
    restart_(mlp, seed=0)
    for path, mask in masks.items():
        mask_(mlp.get_submodule(path), mask)
    assert training.labels is not None
    fit(mlp, training.images, training.labels, Fit(epochs=6, learning_rate=0.05))
    print(accuracy(pruned, testing), accuracy(mlp, testing))
    assert accuracy(pruned, testing) > accuracy(mlp, testing)
