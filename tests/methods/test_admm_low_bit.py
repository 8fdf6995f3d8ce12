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
    """One layer, one update: G = proj(W + L), L += W - G, and the least of the quadratic."""
    layer = nn.Linear(3, 1, bias=False)
    layer.weight.data = torch.tensor([[0.9, -0.2, 0.5]])
    projector = ScaledLevels(last=0)
    solver = Admm(
        nn.Sequential(layer),
        ["0"],
        projector,
        rho=(0.5, 0.5),
        share=1.0,
        updates=1,
        extragradient=True,
    )
    start = layer.weight.detach().clone()
    target = projector.project(start).decode()
    assert torch.equal(solver.targets[0], target)
    solver.before_step(0)
    layer.weight.data += 1.0
    solver.update(0.5)
    moved = projector.project(start + 1).decode()
    assert torch.equal(solver.targets[0], moved)
    assert torch.allclose(solver.duals[0], start + 1 - moved)
    solver.before_step(1)  # a correction starts where its prediction did
    assert torch.equal(layer.weight, start)
    solver.pull(rate=0.2)
    gradient = layer.weight - start + 0.2 * 0.5 * (layer.weight - moved + solver.duals[0])
    assert torch.allclose(gradient, torch.zeros_like(start), atol=1e-7)


def test_multipliers_count_in_units_of_rho() -> None:
    """Rho grows geometrically, and rho L, the multiplier itself, does not change with it."""
    layer = nn.Linear(3, 1, bias=False)
    layer.weight.data = torch.tensor([[0.9, -0.2, 0.5]])
    solver = Admm(
        nn.Sequential(layer),
        ["0"],
        ScaledLevels(last=0),
        rho=(0.1, 10.0),
        share=0.3,
        updates=1,
        extragradient=False,
    )
    gap = layer.weight.detach() - solver.targets[0]
    solver.update(0.5)
    assert np.isclose(solver.rho, 1.0)
    assert torch.allclose(solver.rho * solver.duals[0], 0.1 * 0.3 * gap)


def test_weights_come_to_the_set(cnn: nn.Module, training: Data) -> None:
    """The primal residual goes to zero."""
    solver = Admm(
        cnn,
        ["0", "3", "6", "9"],
        ScaledLevels(last=0),
        rho=(0.02, 60.0),
        share=0.4,
        updates=16,
        extragradient=False,
    )
    solver.train_(training, Fit(epochs=2, learning_rate=0.02))
    print("residuals:", *(f"{gap:.3f}" for gap in solver.gaps))
    assert solver.gaps[-1] < 0.1 * solver.gaps[0]


def test_trains_to_a_ternary_network(cnn: nn.Module, training: Data, testing: Data) -> None:
    """Within five points of the floats, and three of straight-through training of as many steps."""
    compressed = compress(cnn, uniform("admm_low_bit"), data=training)
    code = code_of(compressed.get_submodule("3"))
    assert code.primitive is Primitive.ADD
    assert len(torch.unique(weight_of(compressed.get_submodule("3")))) <= 3
    straight = uniform(("ternary_weight_networks", {"fit": {"epochs": 3}}))
    other = accuracy(compress(cnn, straight, data=training), testing)
    before, found = accuracy(cnn, testing), accuracy(compressed, testing)
    print(f"{before:.3f}: admm {found:.3f}, straight through {other:.3f}")
    assert found > max(before - 0.05, other - 0.03)
