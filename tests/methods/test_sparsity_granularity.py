"""Mao et al., arXiv:1705.08922. Sums of groups are tested in tests/test_pruning.py."""

import pytest
import torch
from torch import nn

from compressors._compress import compress
from compressors._data import Data
from compressors._layers import weight_of
from compressors._plan import uniform
from compressors.codes._code import Code
from compressors.codes.sparse import Sparse
from compressors.pruning.granularity import Unit
from compressors.weights._form import code_of
from tests.methods.conftest import accuracy

SMALL = {"fit": {"epochs": 1}, "rounds": 2, "sparsity": 0.5}
UNITS: tuple[Unit, ...] = ("weight", "row", "kernel", "filter")


def pruned(model: nn.Module, data: Data, unit: Unit, sparsity: float, **more: object) -> nn.Module:
    settings = {"unit": unit, "sparsity": sparsity, "rounds": 1, "fit": {"epochs": 0}} | more
    return compress(model, uniform(("sparsity_granularity", settings), keep=["9"]), data=data)


def index_bits(code: Code) -> int:
    assert isinstance(code, Sparse)
    return code.parts.streams["places"].bits


def test_index_bits_fall_with_the_size_of_a_group(cnn: nn.Module, training: Data) -> None:
    """A bit a group, at any density: 1 / |g| of a bit map of weights."""
    weights = weight_of(cnn.get_submodule("3")).numel()
    for unit, size in zip(UNITS[1:], (3, 9, 72), strict=True):
        code = code_of(pruned(cnn, training, unit, 0.5).get_submodule("3"))
        assert index_bits(code) == weights // size
        assert code.bits() == weights // size + 32 * weights // 2


def test_finer_is_better_before_retraining(
    cnns: list[nn.Module], training: Data, testing: Data
) -> None:
    """0-D >= 1-D >= 2-D >= 3-D; the mean of three networks."""
    found = [
        sum(accuracy(pruned(one, training, unit, 0.5), testing) for one in cnns) / len(cnns)
        for unit in UNITS
    ]
    assert found == sorted(found, reverse=True)


def test_groups_go_whole(cnn: nn.Module, training: Data) -> None:
    weight = weight_of(pruned(cnn, training, "column", 0.5).get_submodule("3"))
    alive = (weight != 0).sum(2)
    assert set(alive.flatten().tolist()) == {0, 3}
    assert int((alive == 0).sum()) == alive.numel() // 2


def test_coarse_zeros_cost_fewer_bits_than_fine_ones(cnn: nn.Module, training: Data) -> None:
    """Sec. 5: at equal density; fine zeros take a relative index of 4 bits each."""
    bits = [code_of(pruned(cnn, training, unit, 0.5).get_submodule("3")).bits() for unit in UNITS]
    assert bits == sorted(bits, reverse=True)


@pytest.mark.slow
def test_kernels_lose_less_than_a_point(cnn: nn.Module, training: Data, testing: Data) -> None:
    fit = {"epochs": 2, "learning_rate": 0.05}
    for unit in UNITS[1:3]:
        found = pruned(cnn, training, unit, 0.6, rounds=3, fit=fit)
        assert accuracy(found, testing) > accuracy(cnn, testing) - 0.01


def test_linear_layers_have_kernels_of_one_weight(mlp: nn.Module, training: Data) -> None:
    settings = {"unit": "kernel", "sparsity": 0.5, "rounds": 1, "fit": {"epochs": 0}}
    found = compress(mlp, uniform(("sparsity_granularity", settings)), data=training)
    weight = weight_of(found.get_submodule("1"))
    assert int(weight.count_nonzero()) == weight.numel() // 2
    largest = weight_of(mlp.get_submodule("1")).abs().flatten().topk(weight.numel() // 2).indices
    assert torch.all(weight.flatten()[largest] != 0)
