"""Molchanov et al., arXiv:1611.06440."""

import pytest
import torch
from scipy.stats import spearmanr
from torch import Tensor, nn
from torch.nn import functional

from compressors import oracle_pruning, taylor_pruning
from compressors._compress import compress
from compressors._data import Data
from compressors._plan import uniform
from compressors._probe import feature_maps
from compressors.l1_filter_pruning import absolute_sums
from compressors.structure._groups import channel_groups
from tests.methods.conftest import accuracy

SMALL = {"rounds": 2, "fit": {"epochs": 1, "batch": 3}}
SMALL_KEEP = ("3",)
LAYERS, HEAD = ["0", "3", "6"], "9"


def widths(model: nn.Module) -> list[int]:
    return [len(model.get_parameter(f"{path}.weight")) for path in LAYERS]


def test_theta_is_the_mean_of_gradient_times_activation(cnn: nn.Module, training: Data) -> None:
    """Image by image, by hooks and autograd."""
    few, maps = training.first(70), {}
    assert few.labels is not None
    found = feature_maps(cnn, LAYERS, few, gradients=True)

    def keep(path: str, value: Tensor) -> None:
        value.retain_grad()
        maps[path] = value

    for path, after in (("0", 2), ("3", 5), ("6", 7)):
        cnn.get_submodule(str(after)).register_forward_hook(
            lambda _layer, _inputs, value, path=path: keep(path, value)
        )
    totals = dict.fromkeys(LAYERS, torch.zeros(()))
    for image, label in zip(few.images, few.labels, strict=True):
        torch.autograd.backward(functional.cross_entropy(cnn(image[None]), label[None]))
        for path, value in maps.items():
            assert value.grad is not None
            theta = (value.grad * value).flatten(2).mean(2)[0].abs()
            totals[path] = totals[path] + theta.detach() / len(few.images)
    for path in LAYERS:
        wanted = found[path].taylor
        assert wanted is not None
        assert torch.allclose(wanted, totals[path], rtol=1e-3, atol=1e-7)


def test_ranks_more_like_the_oracle_than_cheaper_criteria(cnn: nn.Module, training: Data) -> None:
    """Spearman correlation over all filters of the network, layers made comparable."""
    few = training.first(200)
    maps = feature_maps(cnn, LAYERS, few, gradients=True)
    oracle = [oracle_pruning.loss_changes(cnn, g, few) for g in channel_groups(cnn)[:3]]
    rivals: dict[str, dict[str, Tensor]] = {"l1": absolute_sums(cnn, LAYERS)}
    rivals["apoz"] = {path: 1 - found.zeros for path, found in maps.items()}
    rivals["taylor"] = {p: found.taylor for p, found in maps.items() if found.taylor is not None}
    ranks = {
        name: spearmanr(
            torch.cat(oracle),
            torch.cat([taylor_pruning.normalised(scores[path]) for path in LAYERS]),
        ).statistic
        for name, scores in rivals.items()
    }
    assert ranks["taylor"] > 0.5
    assert ranks["taylor"] > max(ranks["l1"], ranks["apoz"])


def test_counts_over_all_layers_together(cnn: nn.Module, training: Data) -> None:
    plan = uniform(("taylor_pruning", {"keep": 0.5, "images": 100}), keep=[HEAD])
    smaller = compress(cnn, plan, data=training)
    assert sum(widths(smaller)) == 20
    assert widths(smaller) != [4, 8, 8]


def test_what_a_map_costs_changes_which_go(cnn: nn.Module, training: Data) -> None:
    """MACs weigh the second layer most; joules on the chip know what moves as well."""
    found = []
    for settings in ({}, {"cost": 20.0}, {"cost": 20.0, "machine": "eyeriss_v1"}):
        config = {"keep": 0.5, "images": 100, "rounds": 1, **settings}
        plan = uniform(("taylor_pruning", config), keep=[HEAD])
        found.append(widths(compress(cnn, plan, data=training)))
    assert found[0] != found[1] != found[2] != found[0]


@pytest.mark.slow
def test_fine_tuning_recovers(cnn: nn.Module, training: Data, testing: Data) -> None:
    fit = {"epochs": 2.0, "learning_rate": 0.05}
    plan = uniform(("taylor_pruning", {"keep": 0.7, "fit": fit}), keep=[HEAD])
    smaller = compress(cnn, plan, data=training)
    assert accuracy(smaller, testing) > accuracy(cnn, testing) - 0.01
