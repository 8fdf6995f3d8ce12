"""Srinivas and Babu, arXiv:1507.06149."""

import copy

import torch
from torch import nn

from compressors import data_free_neuron_pruning as method
from compressors._compress import compress
from compressors._data import Data
from compressors._plan import uniform
from compressors.structure._groups import channel_groups
from compressors.structure._remove import remove_
from compressors.structure._repair import read_weights
from tests.methods.conftest import accuracy

SMALL_KEEP = ("3",)


def test_twins_become_one(mlp: nn.Module, training: Data) -> None:
    """Every second neuron of a layer a copy of the one before: half can go for nothing."""
    weight, bias = mlp.get_parameter("1.weight").data, mlp.get_parameter("1.bias").data
    weight[1::2], bias[1::2] = weight[::2], bias[::2]
    images = training.images[:50]
    wanted = mlp(images)
    smaller = compress(mlp, uniform(("data_free_neuron_pruning", {"keep": 0.5}), keep=["3", "5"]))
    assert len(smaller.get_parameter("1.weight")) == 50
    assert torch.allclose(smaller(images), wanted, rtol=1e-4, atol=1e-4)


def test_twin_filters_with_unlike_norms_become_one(cnn: nn.Module, training: Data) -> None:
    """Filter 1 is filter 0 doubled, and its batch-norm takes that back."""
    weight = cnn.get_parameter("3.weight").data
    weight[1] = 2 * weight[0]
    norm = cnn.get_submodule("4")
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    norm.eps = 0.0
    norm.running_mean[1], norm.running_var[1] = 2 * norm.running_mean[0], 4 * norm.running_var[0]
    norm.weight.data[1], norm.bias.data[1] = norm.weight.data[0], norm.bias.data[0]
    plan = uniform(("data_free_neuron_pruning", {"keep": 15 / 16}), keep=["0", "6", "9"])
    smaller = compress(cnn, plan)
    assert len(smaller.get_parameter("3.weight")) == 15
    images = training.images[:50]
    assert torch.allclose(smaller(images), cnn(images), rtol=1e-3, atol=1e-3)


def test_saliency_bounds_the_error(mlp: nn.Module, training: Data) -> None:
    """E|dz|^2 <= s(i, j) E|x|^2, x the layer's input and a one, for a function of slope 1."""
    assert isinstance(mlp, nn.Sequential)
    images, group = training.images[:300], channel_groups(mlp)[1]
    found = method.saliencies(method.own_weights(mlp, group), read_weights(mlp, group))
    with torch.no_grad():
        hidden = mlp[:3](images)
        bound = float(hidden.square().sum(1).mean()) + 1
        neurons = torch.relu(mlp[3](hidden)).double()
    for stays, goes in ((0, 1), (7, 30), (12, 44)):
        read = mlp.get_parameter("5.weight").detach()[:, goes].double()
        change = (neurons[:, stays] - neurons[:, goes]).square().mean() * read.square().mean()
        assert float(change) <= float(found[stays, goes]) * bound


def test_each_merge_is_the_cheapest_left() -> None:
    """By the formula, anew after every merge."""
    draw = torch.Generator().manual_seed(0)
    own, read = (
        torch.randn(6, 4, generator=draw).double(),
        torch.randn(6, 3, generator=draw).double(),
    )
    merges, left = method.merge(own, read), list(range(6))
    for cost, stays, goes in merges:
        costs = {
            (i, j): float(read[j].square().mean() * (own[i] - own[j]).square().sum())
            for i in left
            for j in left
            if i != j
        }
        assert abs(min(costs.values()) - cost) < 1e-9
        assert abs(costs[stays, goes] - cost) < 1e-9
        read[stays] += read[goes]
        left.remove(goes)
    assert len(left) == 1


def test_the_mode_of_the_curve_cuts_off() -> None:
    merges = [(cost, 0, n + 1) for n, cost in enumerate([0.0, 0.1, 1.0, 1.0, 1.01, 5.0, 9.0])]
    assert method.how_many(merges, None) == 5
    assert method.how_many(merges, 0.5) == 4


def test_beats_taking_neurons_away(mlp: nn.Module, testing: Data) -> None:
    """A third of the hidden neurons go, without data."""
    plan = uniform(("data_free_neuron_pruning", {"keep": 0.67}), keep=["5"])
    merged = accuracy(compress(mlp, plan), testing)
    by_chance = []
    for seed in range(5):
        draw, dropped = torch.Generator().manual_seed(seed), copy.deepcopy(mlp)
        groups = channel_groups(dropped)[:2]
        ranks = [torch.randperm(group.size, generator=draw) / group.size for group in groups]
        remove_(dropped, {g: r < 0.67 for g, r in zip(groups, ranks, strict=True)})
        by_chance.append(accuracy(dropped, testing))
    assert merged > max(by_chance)
