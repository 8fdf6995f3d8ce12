"""Leng et al., "Extremely Low Bit Neural Network", AAAI 2018."""

from itertools import pairwise

import numpy as np
import torch
from torch import nn

from compressors._compress import compress
from compressors._data import Data
from compressors._fit import Fit
from compressors._layers import weight_of
from compressors._plan import uniform
from compressors.projectors.scaled_levels import ScaledLevels, alternating_scales
from compressors.training.admm import Admm
from compressors.training.tuning import tune
from compressors.weights._form import code_of
from hwsim.workload import Primitive
from tests.methods.conftest import accuracy


def test_alternation_never_raises_the_error() -> None:
    """And ends where numpy's own alternation does."""
    for last in (0, 1, 2):
        projector = ScaledLevels(last=last, solver="alternating")
        magnitudes = (
            torch.randn(4, 80, generator=torch.Generator().manual_seed(last)).abs().double()
        )
        ladder = projector.ladder.numpy()
        scales = alternating_scales(magnitudes, projector.ladder, rounds=20)
        for row, weights in enumerate(magnitudes.numpy()):
            errors, alpha = [], weights.max() / ladder[-1]
            for found in scales:
                assert np.isclose(float(found[row]), alpha)
                gaps = np.abs(weights[:, None] / alpha - ladder)
                levels = ladder[gaps.argmin(1)]
                errors.append(((weights - alpha * levels) ** 2).sum())
                alpha = (weights @ levels) / (levels @ levels)
            assert all(b <= a + 1e-12 for a, b in pairwise(errors))


def test_projects_onto_itself() -> None:
    weights = torch.randn(6, 4, 3, 2, generator=torch.Generator().manual_seed(0))
    for last in (0, 1, 2):
        projector = ScaledLevels(last=last, scope="filter", solver="alternating")
        once = projector.project(weights).decode()
        assert torch.equal(projector.project(once).decode(), once)


def test_updates_are_the_published_ones() -> None:
    """One weight, one update: G = proj(W + L), L += W - G, and the penalty's gradient."""
    layer = nn.Linear(3, 1, bias=False)
    layer.weight.data = torch.tensor([[0.9, -0.2, 0.5]])
    projector = ScaledLevels(last=0)
    solver = Admm(nn.Sequential(layer), ["0"], projector, rho=0.5, period=1, extragradient=True)
    start = layer.weight.detach().clone()
    target = projector.project(start).decode()
    assert torch.equal(solver.targets[0], target)
    torch.autograd.backward(solver.penalty())
    assert layer.weight.grad is not None
    assert torch.allclose(layer.weight.grad, 0.5 * (start - target))
    solver.before_step(0)
    layer.weight.data += 1.0
    solver.after_step(0)
    moved = projector.project(start + 1).decode()
    assert torch.equal(solver.targets[0], moved)
    assert torch.allclose(solver.duals[0], start + 1 - moved)
    solver.before_step(1)  # a correction starts where its prediction did
    assert torch.equal(layer.weight, start)


def test_weights_come_to_the_set(cnn: nn.Module, training: Data) -> None:
    """The primal residual falls as the multipliers push."""
    paths = ["0", "3", "6", "9"]
    solver = Admm(cnn, paths, ScaledLevels(last=0), rho=2.0, period=8, extragradient=False)
    settings = Fit(epochs=3, learning_rate=0.05, momentum=0.0)
    tune(cnn, training, settings, penalty=solver.penalty, after_step=solver.after_step)
    print("residuals:", *(f"{gap:.3f}" for gap in solver.gaps[:: len(solver.gaps) // 6]))
    assert solver.gaps[-1] < 0.5 * solver.gaps[0]


def test_trains_to_a_ternary_network(cnn: nn.Module, training: Data, testing: Data) -> None:
    """In 138 steps, for which the pull must be stronger than by default."""
    settings = {"rho": 2.0, "fit": {"learning_rate": 0.05}}
    compressed = compress(cnn, uniform(("admm_low_bit", settings)), data=training)
    code = code_of(compressed.get_submodule("3"))
    assert code.primitive is Primitive.ADD
    assert len(torch.unique(weight_of(compressed.get_submodule("3")))) <= 3
    print(f"admm: {accuracy(cnn, testing):.3f} -> {accuracy(compressed, testing):.3f}")
    assert accuracy(compressed, testing) > accuracy(cnn, testing) - 0.05
