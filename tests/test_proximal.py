"""Proximal steps against brute force: the least of 1/2 (w - v)^2 + t R(w) over a fine grid."""

from collections.abc import Callable

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given
from torch import Tensor, nn

from compressors._data import Data
from compressors._fit import Fit
from compressors.pruning.granularity import Granularity
from compressors.pruning.targets import Target
from compressors.training.free import free_
from compressors.training.proximal import PROX, GroupLasso, Norm, Penalty, soft_threshold, train_
from compressors.weights.masked import mask_

R: dict[Norm, Callable[[Tensor], Tensor]] = {
    "l0": lambda w: (w != 0).double(),
    "l1": lambda w: w.abs(),
    "l2": lambda w: w.square(),
}
GRID = torch.linspace(-3, 3, 60001, dtype=torch.float64)


@pytest.mark.parametrize("norm", R)
@given(value=st.floats(-2.5, 2.5), step=st.floats(0.01, 1))
def test_proximal_steps_are_the_minima(norm: Norm, value: float, step: float) -> None:
    def cost(w: Tensor) -> Tensor:
        return (w - value).square() / 2 + step * R[norm](w)

    found = PROX[norm](torch.tensor([value], dtype=torch.float64), step)
    assert cost(found).item() <= cost(GRID).min().item() + 1e-12
    assert cost(GRID).min().item() >= cost(found).item() - 1e-8


@given(seed=st.integers(0, 10**6), step=st.floats(0.01, 1))
def test_group_lasso_is_the_minimum_of_its_groups(seed: int, step: float) -> None:
    """No small change of a group costs less, nor does none of it; groups are zero as a whole."""
    draw = torch.Generator().manual_seed(seed)
    values = torch.randn(3, 4, 2, 2, generator=draw, dtype=torch.float64) / 3
    found = GroupLasso(Granularity(unit="filter"))(values, step)
    for v, w in zip(values.flatten(1), found.flatten(1), strict=True):
        assert w.count_nonzero() in (0, 16)
        others = torch.cat([w + 1e-3 * torch.randn(50, 16, generator=draw), torch.zeros(1, 16)])
        costs = (others - v).square().sum(1) / 2 + step * 4 * others.norm(dim=1)
        assert (w - v).square().sum() / 2 + step * 4 * w.norm() <= costs.min() + 1e-12


def test_penalties_follow_the_learning_rate() -> None:
    """Where nothing pulls a weight, it falls by strength * rate / (1 - momentum) each step."""
    layer = nn.Linear(2, 2, bias=False)
    layer.weight.data.fill_(1.0)
    model = nn.Sequential(layer)
    settings = Fit(epochs=3, batch=4, learning_rate=0.1, momentum=0.5, weight_decay=0)
    data = Data(images=torch.zeros(4, 2), labels=torch.zeros(4, dtype=torch.int64))
    train_(model, data, settings, [Penalty(Target("0", layer), soft_threshold, 0.2)])
    fall = sum(0.2 * settings.rate(step, 3) / 0.5 for step in range(3))
    assert torch.allclose(layer.weight, torch.full((2, 2), 1 - fall), atol=1e-6)


def test_freed_weights_keep_their_mask() -> None:
    layer = nn.Linear(3, 2)
    mask_(layer, torch.eye(2, 3, dtype=torch.bool))
    before = layer.weight.detach().clone()
    free_(layer)
    assert torch.equal(layer.weight, before)
    layer.get_parameter("parametrizations.weight.original").data += 1
    assert torch.equal(layer.weight != 0, torch.eye(2, 3, dtype=torch.bool))
