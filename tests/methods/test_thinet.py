"""Luo, Wu and Lin, arXiv:1707.06342."""

from itertools import combinations

import pytest
import torch
from torch import Tensor, nn

from compressors import thinet
from compressors._compress import compress
from compressors._data import Data
from compressors._plan import uniform
from compressors._probe import read_columns
from compressors.l1_filter_pruning import absolute_sums
from compressors.structure._groups import channel_groups
from compressors.structure._select import keep_best
from tests.methods.conftest import accuracy, cross_entropy

SMALL = {"between": {"epochs": 1, "batch": 3}}
SMALL_KEEP = ("3",)


def loss_of(parts: Tensor, gone: tuple[int, ...]) -> float:
    return float(parts[:, list(gone)].sum(1).square().sum())


def samples(cnn: nn.Module, training: Data, number: int) -> Tensor:
    group = channel_groups(cnn)[number]
    return thinet.contributions(cnn, group, training.first(100), positions=5, seed=0)


def test_parts_add_up_to_what_the_next_layer_yields(cnn: nn.Module, training: Data) -> None:
    """Every sample is one of the sums of the layer, which has no bias."""
    few = training.first(100)
    parts = samples(cnn, training, 0)
    sums = read_columns(cnn, ["3"], few, positions=5, seed=0)["3"].sums
    gaps = (parts.sum(1, keepdim=True) - sums).abs().min(1).values
    assert float(gaps.max()) < 1e-4


@pytest.mark.parametrize("seed", range(5))
def test_greedy_is_monotone_and_near_the_best(seed: int) -> None:
    """Of eight channels, against all choices of four."""
    draw = torch.Generator().manual_seed(seed)
    parts = torch.randn(200, 8, generator=draw).double() * torch.rand(8, generator=draw)
    order = tuple(torch.argsort(thinet.greedy_ranks(parts)).tolist())
    losses = [loss_of(parts, order[: n + 1]) for n in range(8)]
    for n in range(1, 8):
        nexts = [loss_of(parts, (*order[:n], other)) for other in order[n:]]
        assert losses[n] == pytest.approx(min(nexts))
    best = min(loss_of(parts, gone) for gone in combinations(range(8), 4))
    assert best <= losses[3] * (1 + 1e-9) <= 1.25 * best * (1 + 1e-9)


def test_scaling_is_least_squares(cnn: nn.Module, training: Data) -> None:
    """Less error than without; the error left is orthogonal to every kept channel."""
    parts = samples(cnn, training, 1)
    keep = thinet.greedy_ranks(parts) >= 8
    scales = thinet.best_scales(parts, keep)
    whole = parts.sum(1)
    plain, scaled = whole - parts[:, keep].sum(1), whole - parts[:, keep] @ scales[keep]
    assert scaled.square().sum() < plain.square().sum()
    assert float((parts[:, keep].T @ scaled).abs().max()) < 1e-6 * float(whole.square().sum())


def test_reconstructs_better_than_norms(cnn: nn.Module, training: Data) -> None:
    group, parts = channel_groups(cnn)[1], samples(cnn, training, 1)
    ranks = thinet.greedy_ranks(parts)
    norms = absolute_sums(cnn, ["3"])["3"]
    errors = []
    for scores in (ranks, norms):
        keep = keep_best(group, scores, share=0.5)
        errors.append(float(parts[:, ~keep].sum(1).square().sum()))
    assert errors[0] < errors[1]


def test_the_network_keeps_more_than_by_norms(
    cnn: nn.Module, training: Data, testing: Data
) -> None:
    losses = [
        cross_entropy(compress(cnn, uniform(name, keep=["9"]), data=training), testing)
        for name in ("thinet", "l1_filter_pruning")
    ]
    assert losses[0] < losses[1]


@pytest.mark.slow
def test_fine_tuning_recovers(cnn: nn.Module, training: Data, testing: Data) -> None:
    between = {"epochs": 1.0, "learning_rate": 0.05}
    plan = uniform(("thinet", {"keep": 0.7, "between": between, "fit": between}), keep=["9"])
    assert accuracy(compress(cnn, plan, data=training), testing) > accuracy(cnn, testing) - 0.01
