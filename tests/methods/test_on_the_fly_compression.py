"""Soulie, Gripon and Robert, "Compression of Deep Neural Networks on the Fly", ICANN 2016."""

import torch
from torch import nn

from compressors._compress import compress
from compressors._data import Data
from compressors._layers import weight_of
from compressors._plan import uniform
from compressors.on_the_fly_compression import distance
from compressors.weights._form import code_of
from hwsim.workload import Primitive
from tests.methods.conftest import accuracy


def test_penalty_is_zero_at_two_values_alone() -> None:
    signs = torch.tensor([[0.5, -0.5, 0.5]])
    assert float(distance([signs])) == 0
    weights = torch.tensor([[1.0, -2.0, 3.0]], requires_grad=True)
    assert float(distance([weights]).detach()) == 2
    torch.autograd.backward(distance([weights]))
    assert weights.grad is not None
    assert weights.grad.tolist() == [[-1.0, 0.0, 1.0]]


def test_signs_cost_less_the_stronger_the_pull(
    mlp: nn.Module, training: Data, testing: Data
) -> None:
    found = []
    fit = {"epochs": 12, "learning_rate": 0.05, "momentum": 0.95}
    for pull in (0.0, 0.1):
        plan = uniform(("on_the_fly_compression", {"pull": pull, "fit": fit}))
        compressed = compress(mlp, plan, data=training)
        found.append(accuracy(compressed, testing))
    code = code_of(compressed.get_submodule("1"))
    assert code.primitive is Primitive.ADD
    assert code.bits() == 25600 + 32
    assert len(torch.unique(weight_of(compressed.get_submodule("1")))) == 2
    output = code_of(compressed.get_submodule("5"))
    assert output.kind == "product"
    rows = min(2**4, 10)
    assert output.bits() == 10 * 25 * 4 + 32 * rows * 50
    print("on the fly: float, without and with the pull:", accuracy(mlp, testing), *found)
    assert found[1] > found[0] + 0.05
    assert found[1] > accuracy(mlp, testing) - 0.015
