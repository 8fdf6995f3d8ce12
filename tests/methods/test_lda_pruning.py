"""Tian, Arbel and Clark, arXiv:1704.06305."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from compressors import lda_pruning
from compressors._compress import compress
from compressors._data import Data
from compressors._plan import uniform
from compressors._probe import Maps, feature_maps
from compressors.structure._groups import channel_groups
from tests.methods.conftest import accuracy

SMALL = {"fit": {"epochs": 1, "batch": 3}}
SMALL_KEEP = ("3",)


def features(cnn: nn.Module, data: Data) -> Maps:
    return feature_maps(cnn, ["6"], data)["6"]


def test_ratio_is_that_of_the_scatter_matrices(cnn: nn.Module, training: Data) -> None:
    """S_b and S_w by numpy, their diagonals."""
    few = training.first(300)
    assert few.labels is not None
    maps, labels = features(cnn, few), few.labels.numpy()
    means = maps.means.double().numpy()
    between, within = np.zeros((16, 16)), np.zeros((16, 16))
    for label in np.unique(labels):
        own = means[labels == label]
        gap = own.mean(0) - means.mean(0)
        between += len(own) * np.outer(gap, gap)
        within += (own - own.mean(0)).T @ (own - own.mean(0))
    found = lda_pruning.ratios({"6": maps}, few)["6"]
    assert np.allclose(found, np.diag(between) / np.diag(within), rtol=1e-6)
    correlations = lda_pruning.within_correlations(maps, few.labels)
    scales = np.sqrt(np.diag(within))
    assert np.allclose(correlations, within / np.outer(scales, scales), atol=1e-6)


def discriminant_accuracy(train: Tensor, truth: Tensor, test: Tensor, wanted: Tensor) -> float:
    """Of a linear classifier: least squares on one-hot classes."""
    ones = torch.ones(len(train), 1)
    inputs = torch.cat([train, ones], 1).double()
    classes = torch.nn.functional.one_hot(truth, 10).double()
    found = torch.linalg.lstsq(inputs, classes, driver="gelsd").solution
    tests = torch.cat([test, torch.ones(len(test), 1)], 1).double()
    return float(((tests @ found).argmax(1) == wanted).double().mean())


def scores(cnn: nn.Module, few: Data, testing: Data) -> tuple[float, float, float]:
    """Of the best six maps, of forty draws of six, and of the worst six."""
    maps, tests = features(cnn, few), features(cnn, testing)
    order = torch.argsort(lda_pruning.ratios({"6": maps}, few)["6"], descending=True)

    def score(chosen: Tensor) -> float:
        assert few.labels is not None
        assert testing.labels is not None
        parts = maps.means[:, chosen], few.labels, tests.means[:, chosen], testing.labels
        return discriminant_accuracy(*parts)

    draws = [torch.randperm(16, generator=torch.Generator().manual_seed(n)) for n in range(40)]
    by_chance = sum(score(drawn[:6]) for drawn in draws) / 40
    return score(order[:6]), by_chance, score(order[-6:])


def test_the_best_tell_classes_apart(cnns: list[nn.Module], training: Data, testing: Data) -> None:
    """Top k beat bottom k and the mean of random k, for a linear classifier of the features; the
    mean of three networks.
    """
    found = torch.tensor([scores(one, training.first(2000), testing) for one in cnns]).mean(0)
    assert found[0] > found[1] > found[2]


def test_traces_back_what_feeds_the_kept(cnn: nn.Module, training: Data) -> None:
    """By hand: kept channels' shares of the ratio, times absolute weights."""
    few = training.first(300)
    ratio = lda_pruning.ratios({"6": features(cnn, few)}, few)["6"]
    kept = ratio.topk(8).indices.sort().values
    shares = torch.zeros(16).double()
    shares[kept] = ratio[kept] / ratio.sum()
    weight = cnn.get_parameter("6.weight").detach().double().abs().sum((2, 3))
    wanted = (shares @ weight).topk(8).indices.sort().values
    config = {"images": 300}
    smaller = compress(cnn, uniform(("lda_pruning", config), keep=["9"]), data=training)
    norm = cnn.get_parameter("4.weight").detach()
    assert torch.equal(smaller.get_parameter("4.weight").detach(), norm[wanted])
    found = lda_pruning.traced(cnn, channel_groups(cnn)[1], {"6": shares})
    assert torch.allclose(found, shares @ weight)


@pytest.mark.slow
@pytest.mark.parametrize("trace", [True, False])
def test_retraining_recovers(cnn: nn.Module, training: Data, testing: Data, trace: bool) -> None:
    fit = {"epochs": 4.0, "learning_rate": 0.05}
    config = {"keep": 0.75, "trace": trace, "fit": fit}
    smaller = compress(cnn, uniform(("lda_pruning", config), keep=["9"]), data=training)
    assert accuracy(smaller, testing) > accuracy(cnn, testing) - 0.01
