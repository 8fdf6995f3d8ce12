"""Mellempudi et al., "Ternary Neural Networks with Fine-Grained Quantization", arXiv:1705.01462."""

import itertools

import torch
from torch import nn

from compressors._compress import compress
from compressors._data import Data
from compressors._plan import uniform
from compressors.codes.scaled import Scaled
from compressors.projectors.scaled_levels import ScaledLevels
from compressors.weights._form import code_of
from hwsim.workload import Primitive
from tests.methods.conftest import accuracy

WEIGHTS = torch.randn(4, 16, 3, 2, generator=torch.Generator().manual_seed(0))


def error(projector: ScaledLevels) -> float:
    return float((projector.project(WEIGHTS).decode() - WEIGHTS).double().square().sum())


def test_each_group_is_the_best_of_all_ternary_ones() -> None:
    """All 3^4 patterns of a group, each with its scale of least squares."""
    found = ScaledLevels(last=0, scope="group", group=4).project(WEIGHTS).decode()
    patterns = torch.tensor(list(itertools.product((-1, 0, 1), repeat=4))).double()
    patterns = patterns[patterns.any(1)]
    groups = WEIGHTS.double().reshape(4, 4, 4, 3, 2).movedim(2, -1).reshape(-1, 4)
    gains = (groups @ patterns.T).clamp(min=0).square() / patterns.square().sum(1)
    least = groups.square().sum() - gains.max(1).values.sum()
    assert abs(float((found - WEIGHTS).double().square().sum()) - float(least)) < 1e-4


def test_error_grows_with_the_group() -> None:
    groups = (1, 2, 4, 8, 16)
    errors = [error(ScaledLevels(last=0, scope="group", group=group)) for group in groups]
    assert errors == sorted(errors)
    assert errors[0] < 1e-9
    assert errors[-1] <= error(ScaledLevels(last=0, scope="filter"))


def test_one_group_is_the_filter() -> None:
    """Of a linear layer, whose window is one place."""
    weights = WEIGHTS[:, :, 0, 0]
    group = ScaledLevels(last=0, scope="group", group=16).project(weights)
    assert torch.equal(
        group.decode(), ScaledLevels(last=0, scope="filter").project(weights).decode()
    )


def test_scales_of_eight_bits_project_onto_themselves() -> None:
    projector = ScaledLevels(last=0, scope="group", group=4, scale_bits=8)
    once = projector.project(WEIGHTS).decode()
    assert torch.equal(projector.project(once).decode(), once)
    assert error(projector) < 1.02 * error(ScaledLevels(last=0, scope="group", group=4))


def test_three_of_four_multiplications_go(cnn: nn.Module, training: Data, testing: Data) -> None:
    """2 + 8 / N bits a weight; a group's sum is multiplied once. The first layer, of one input
    channel, has no groups to speak of. Published: 4 points lost by ResNet-101, untrained."""
    compressed = compress(cnn, uniform("fgq_ternary", keep=["0"]), data=training.first(2000))
    code = code_of(compressed.get_submodule("3"))
    assert isinstance(code, Scaled)
    assert code.primitive is Primitive.ADD
    weights, groups = 16 * 8 * 9, 16 * 2 * 9
    assert code.scales.decode().numel() == groups == weights // 4
    assert code.bits() == 2 * weights + 8 * groups + 32
    found = accuracy(compressed, testing)
    print(f"fgq: {accuracy(cnn, testing):.3f} -> {found:.3f} untrained")
    assert found > accuracy(cnn, testing) - 0.04
