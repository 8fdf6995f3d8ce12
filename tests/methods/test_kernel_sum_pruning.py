"""Anwar and Sung, ICLR 2017 submission; Mao et al., arXiv:1705.08922."""

from torch import nn

from compressors._compress import compress
from compressors._data import Data
from compressors._layers import weight_of
from compressors._plan import Plan, Step
from compressors.codes.sparse import Sparse
from compressors.weights._form import code_of
from tests.methods.conftest import accuracy

SMALL = {"fit": {"epochs": 1}, "rounds": 2}


def plan(model: nn.Module, **settings: object) -> Plan:
    step = Step(method="kernel_sum_pruning", config=settings)
    kinds = {path: isinstance(part, nn.Conv2d) for path, part in model.named_modules()}
    return Plan(layers={"*": (), **{path: (step,) for path, conv in kinds.items() if conv}})


def test_whole_kernels_of_least_sum_go(cnn: nn.Module, training: Data) -> None:
    settings = {"sparsity": 0.25, "rounds": 1, "fit": {"epochs": 0}}
    pruned = compress(cnn, plan(cnn, **settings), data=training)
    before, after = (weight_of(m.get_submodule("3")).detach() for m in (cnn, pruned))
    sums, alive = before.abs().sum((2, 3)), (after != 0).sum((2, 3))
    assert set(alive.flatten().tolist()) == {0, 9}
    assert int((alive == 0).sum()) == 16 * 8 // 4
    assert sums[alive == 0].max() < sums[alive == 9].min()


def test_connections_take_a_bit_each(cnn: nn.Module, training: Data) -> None:
    code = code_of(compress(cnn, plan(cnn, fit={"epochs": 0.1}), data=training).get_submodule("3"))
    assert isinstance(code, Sparse)
    assert code.parts.streams["places"].bits == 16 * 8
    assert code.bits() == 16 * 8 + 16 * 8 // 2 * 9 * 32


def test_half_the_kernels_lose_less_than_a_point(
    cnn: nn.Module, training: Data, testing: Data
) -> None:
    fit = {"epochs": 2, "learning_rate": 0.05}
    pruned = compress(cnn, plan(cnn, sparsity=0.5, fit=fit), data=training)
    assert accuracy(pruned, testing) > accuracy(cnn, testing) - 0.01
