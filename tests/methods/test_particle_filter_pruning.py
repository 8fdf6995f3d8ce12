"""Anwar, Hwang and Sung, ACM JETC 2017, arXiv:1512.08571."""

import pytest
import torch
from torch import Tensor, nn

from compressors._compress import compress
from compressors._data import Data
from compressors._layers import weight_of
from compressors._plan import uniform
from compressors.pruning.judge import held_out, misclassified
from compressors.pruning.particles import (
    effective_size,
    importance,
    mutated,
    resampled,
    search,
)

SMALL = {"fit": {"epochs": 1}, "particles": 3, "generations": 2}


def test_weights_fall_with_errors() -> None:
    weights = importance(torch.tensor([0.1, 0.2, 0.3]), 0.1)
    assert weights.sum() == pytest.approx(1.0)
    assert (weights[0] / weights[1]).item() == pytest.approx(torch.e)
    assert effective_size(torch.full((8,), 0.125)) == pytest.approx(8.0)
    assert effective_size(torch.tensor([1.0, 0.0])) == 1.0


def test_counts_are_in_proportion_to_weights() -> None:
    """Each n w on average, and never off by one or more."""
    weights = importance(torch.rand(7, generator=torch.Generator().manual_seed(0)), 0.3)
    draw, total = torch.Generator().manual_seed(1), torch.zeros(7)
    for _ in range(2000):
        counts = torch.bincount(resampled(weights, draw), minlength=7)
        assert torch.all((counts - 7 * weights).abs() < 1)
        total += counts
    assert torch.allclose(total / 2000, 7 * weights.float(), atol=0.05)


def test_mutants_keep_their_sparsity() -> None:
    draw, mask = torch.Generator().manual_seed(0), torch.arange(20) < 13
    (found,) = mutated([mask], 0.4, draw)
    assert int(found.sum()) == 13
    assert int((found != mask).sum()) == 2 * round(0.4 * 7)
    everything = torch.ones(5, dtype=torch.bool)
    assert torch.equal(mutated([everything], 0.5, draw)[0], everything)


def test_errors_never_rise_and_the_best_mask_is_found() -> None:
    """A toy: errors count the groups that differ from a hidden mask."""
    hidden, draw = torch.arange(16) % 4 > 0, torch.Generator().manual_seed(0)
    start = [[hidden[torch.randperm(16, generator=draw)]] for _ in range(10)]

    def errors(mask: list[Tensor]) -> float:
        return float((mask[0] != hidden).float().mean())

    best, history = search(start, errors, generations=60, temperature=0.05, mutation=0.1, draw=draw)
    assert history == sorted(history, reverse=True)
    assert len(history) == 61
    assert torch.equal(best[0], hidden)


@pytest.mark.slow
def test_beats_as_many_random_masks(cnn: nn.Module, training: Data) -> None:
    """On the images that judge, at 64 masks each; the mean of four seeds.

    Four particles need a low temperature: a higher one hardly tells them apart.
    """
    searched: dict[str, float] = {"particles": 4, "generations": 15, "temperature": 0.02}
    drawn: dict[str, float] = {"draws": 64}
    steps = (("particle_filter_pruning", searched), ("random_mask_pruning", drawn))
    found = [0.0, 0.0]
    for seed in range(4):
        common = {"images": 300, "fit": {"epochs": 0}, "seed": seed}
        judging = held_out(training, 300, seed=seed)[1]
        for which, (method, settings) in enumerate(steps):
            plan = uniform((method, settings | common), keep=["9"])
            found[which] += misclassified(compress(cnn, plan, data=training), judging) / 4
    assert found[0] < found[1]


def test_sparsity_is_exact(cnn: nn.Module, training: Data) -> None:
    settings = {"particles": 2, "generations": 1, "sparsity": 0.25, "unit": "column"}
    plan = uniform(("particle_filter_pruning", settings | {"fit": {"epochs": 0}}), keep=["9"])
    weight = weight_of(compress(cnn, plan, data=training).get_submodule("3"))
    assert int((weight.abs().sum(2) == 0).sum()) == 16 * 8 * 3 // 4
