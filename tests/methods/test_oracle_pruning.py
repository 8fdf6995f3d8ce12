"""The gold standard of Molchanov et al., arXiv:1611.06440."""

import copy

import torch
from scipy.stats import spearmanr
from torch import nn

from compressors import oracle_pruning
from compressors._compress import compress
from compressors._data import Data
from compressors._plan import uniform
from compressors.structure._groups import channel_groups
from tests.methods.conftest import cross_entropy

SMALL = {"images": 4}
SMALL_KEEP = ("3",)


def test_scores_are_those_of_brute_force(cnn: nn.Module, training: Data) -> None:
    """Filters set to zero by hand, batch-norm and all."""
    few, group = training.first(100), channel_groups(cnn)[1]
    found = oracle_pruning.loss_changes(cnn, group, few)
    for filter_ in (0, 3, 11):
        broken = copy.deepcopy(cnn)
        broken.get_parameter("4.weight").data[filter_] = 0
        broken.get_parameter("4.bias").data[filter_] = 0
        wanted = abs(cross_entropy(broken, few) - cross_entropy(cnn, few))
        assert abs(float(found[filter_]) - wanted) < 1e-5


def test_the_lowest_goes_first(cnn: nn.Module, training: Data) -> None:
    """One filter of sixteen: no other would move the loss less."""
    few = training.first(100)
    plan = uniform(("oracle_pruning", {"keep": 15 / 16, "images": 100}), keep=["0", "6", "9"])
    found = compress(cnn, plan, data=few).get_parameter("3.weight")
    scores = oracle_pruning.loss_changes(cnn, channel_groups(cnn)[1], few)
    stays = torch.arange(16) != scores.argmin()
    assert torch.equal(found, cnn.get_parameter("3.weight")[stays])


def test_chance_knows_nothing_of_it(cnn: nn.Module, training: Data) -> None:
    scores = oracle_pruning.loss_changes(cnn, channel_groups(cnn)[2], training.first(100))
    draws = [torch.rand(16, generator=torch.Generator().manual_seed(n)) for n in range(50)]
    assert abs(sum(spearmanr(scores, drawn).statistic for drawn in draws) / 50) < 0.15
