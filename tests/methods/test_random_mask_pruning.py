"""Anwar and Sung, ICLR 2017 submission."""

import torch
from torch import nn

from compressors._compress import compress
from compressors._data import Data
from compressors._layers import weight_of
from compressors._plan import uniform
from compressors.pruning.criteria import Random
from compressors.pruning.granularity import Granularity
from compressors.pruning.judge import held_out, misclassified
from compressors.pruning.pruner import Pruner
from tests.methods.conftest import accuracy

SMALL = {"fit": {"epochs": 1}, "draws": 3}
ONCE = {"fit": {"epochs": 0}, "images": 300}


def drawn(model: nn.Module, data: Data, **settings: object) -> nn.Module:
    plan = uniform(("random_mask_pruning", ONCE | settings), keep=["9"])
    return compress(model, plan, data=data)


def test_errors_fall_with_the_number_of_draws(cnn: nn.Module, training: Data) -> None:
    """On the images that judge."""
    _, judging = held_out(training, 300, seed=0)
    found = [misclassified(drawn(cnn, training, draws=n), judging) for n in (1, 4, 16)]
    assert found == sorted(found, reverse=True)
    assert found[0] > found[-1]


def test_ratio_is_exact_at_either_granularity(cnn: nn.Module, training: Data) -> None:
    kernels = weight_of(drawn(cnn, training, draws=2, sparsity=0.25).get_submodule("3"))
    assert int((kernels.abs().sum((2, 3)) == 0).sum()) == 16 * 8 // 4
    settings = {"draws": 2, "sparsity": 0.25, "unit": "filter"}
    filters = weight_of(drawn(cnn, training, **settings).get_submodule("3"))
    assert int((filters.abs().sum((1, 2, 3)) == 0).sum()) == 16 // 4


def test_one_draw_is_random_pruning(cnn: nn.Module, training: Data) -> None:
    found = drawn(cnn, training, draws=1)
    pruner = Pruner(granularity=Granularity(unit="kernel"), criterion=Random(seed=0))
    pruner.cut_(cnn, ["0", "3", "6"], 0.4, None)
    for path in ("0", "3", "6"):
        assert torch.equal(*(weight_of(m.get_submodule(path)) for m in (found, cnn)))


def test_accuracy_returns(cnn: nn.Module, training: Data, testing: Data) -> None:
    fit = {"epochs": 2, "learning_rate": 0.05}
    found = drawn(cnn, training, draws=16, fit=fit)
    assert accuracy(found, testing) > accuracy(cnn, testing) - 0.01
