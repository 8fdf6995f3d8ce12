"""Karnin, IEEE Transactions on Neural Networks 1(2), 1990."""

import pytest
import torch
from torch import nn

from compressors._compress import compress
from compressors._data import Data
from compressors._layers import weight_of, weighted_layers
from compressors._plan import uniform
from compressors.pruning.criteria import Random
from compressors.pruning.pruner import Pruner
from compressors.pruning.targets import Target
from compressors.pruning.trace import Trace
from tests.methods.conftest import accuracy

SMALL = {"fit": {"epochs": 1}, "trace": {"epochs": 1}}
QUICK = {"trace": {"epochs": 2, "learning_rate": 0.05}, "fit": {"epochs": 0}, "sparsity": 0.4}


def test_estimates_the_error_without_a_weight_of_a_quadratic() -> None:
    """E = (w - 2)^2 / 2 from w = 0.1 downhill: E(0) - E(w_f), as steps grow small."""
    layer = nn.Linear(1, 1, bias=False)
    layer.weight.data.fill_(0.1)
    trace = Trace([Target("", layer)])
    for step in range(2000):
        layer.weight.grad = layer.weight.detach() - 2
        trace.before_step(step)
        layer.weight.data -= 0.002 * layer.weight.grad
        trace.after_step(step)
    last, gain = layer.weight.item(), float(trace.sums[0])
    first = 0.1
    assert gain == pytest.approx(((first - 2) ** 2 - (last - 2) ** 2) / 2, rel=2e-3)
    (found,) = trace.scores(layer, [], None)
    assert found.item() == pytest.approx(gain * last / (last - first), rel=1e-5)
    assert found.item() == pytest.approx((2**2 - (last - 2) ** 2) / 2, rel=0.05)


def test_is_the_published_sum_for_plain_gradient_descent() -> None:
    """sum dw^2 w_f / (eta (w_f - w_i))."""
    torch.manual_seed(0)
    layer, images = nn.Linear(3, 2, bias=False), torch.randn(8, 3)
    first, trace = layer.weight.detach().clone(), Trace([Target("", layer)])
    squares = torch.zeros_like(first)
    for step in range(5):
        layer.zero_grad()
        torch.autograd.backward((layer(images) - 3).square().mean())
        trace.before_step(step)
        before = layer.weight.detach().clone()
        torch.optim.SGD([layer.weight], lr=0.1).step()
        trace.after_step(step)
        squares = squares + (layer.weight.detach() - before).square()
    last = layer.weight.detach()
    wanted = squares * last / (0.1 * (last - first))
    assert torch.allclose(trace.scores(layer, [], None)[0], wanted.clamp(min=0), rtol=1e-4)


@pytest.mark.parametrize("restart", [False, True])
def test_beats_chance(restart: bool, mlp: nn.Module, training: Data, testing: Data) -> None:
    settings = QUICK | {"restart": restart}
    cut = compress(mlp, uniform(("sensitivity_pruning_karnin", settings)), data=training)
    whole = compress(
        mlp, uniform(("sensitivity_pruning_karnin", settings | {"sparsity": 0.0})), data=training
    )
    layers = list(weighted_layers(whole))
    Pruner(criterion=Random(), allocation="global").cut_(whole, layers, 0.4, None)
    for model in (cut, whole):
        weights = [weight_of(layer) for layer in weighted_layers(model).values()]
        assert sum(int((weight == 0).sum()) for weight in weights) == round(0.4 * 31100)
    assert accuracy(cut, testing) > accuracy(whole, testing) + 0.05


def test_accuracy_returns(mlp: nn.Module, training: Data, testing: Data) -> None:
    settings = {"sparsity": 0.5, "fit": {"epochs": 2, "learning_rate": 0.05}}
    found = compress(mlp, uniform(("sensitivity_pruning_karnin", settings)), data=training)
    assert accuracy(found, testing) > accuracy(mlp, testing) - 0.01
