"""Five levels, -2 to 2 times a scale: the set of Leng et al., AAAI 2018."""

import torch
from torch import nn

from compressors._compress import compress
from compressors._data import Data
from compressors._layers import weight_of
from compressors._plan import uniform
from compressors.projectors.scaled_levels import ScaledLevels
from compressors.projectors.ternary import Ternary
from compressors.weights._form import code_of
from hwsim.workload import Primitive
from tests.methods.conftest import accuracy


def squared_error(found: torch.Tensor, weights: torch.Tensor) -> float:
    return float((found.double() - weights.double()).square().sum())


def test_no_other_scale_is_better() -> None:
    """Against a fine search over scales, with the nearest levels for each."""
    for seed in range(5):
        weights = torch.randn(60, generator=torch.Generator().manual_seed(seed))[None]
        found = ScaledLevels(last=1).project(weights).decode()
        scales = torch.linspace(0.01, 3, 20000, dtype=torch.float64)[:, None]
        levels = (weights.double() / scales).round().clamp(-2, 2)
        least = (levels * scales - weights.double()).square().sum(1).min()
        assert squared_error(found, weights) <= float(least) + 1e-9


def test_error_is_less_than_a_ternary_one() -> None:
    for seed in range(5):
        weights = torch.randn(8, 30, generator=torch.Generator().manual_seed(seed))
        five = ScaledLevels(last=1).project(weights).decode()
        three = ScaledLevels(last=0).project(weights).decode()
        thresholded = Ternary().project(weights).decode()
        errors = [squared_error(one, weights) for one in (five, three, thresholded)]
        assert errors[0] < errors[1] <= errors[2]
        assert torch.equal(ScaledLevels(last=1).project(five).decode(), five)


def test_loses_less_than_ternary_weights(cnn: nn.Module, training: Data, testing: Data) -> None:
    settings = {"fit": {"epochs": 3, "learning_rate": 0.05}}
    five = compress(cnn, uniform(("quinary_weights", settings)), data=training)
    three = compress(cnn, uniform(("ternary_weight_networks", settings)), data=training)
    layer = five.get_submodule("3")
    code, weight = code_of(layer), weight_of(layer)
    assert (code.primitive, code.word_bits) == (Primitive.SHIFT_ADD, 3)
    least = weight[weight > 0].min()
    assert set((weight / least).flatten().tolist()) <= {-2.0, -1.0, 0.0, 1.0, 2.0}
    found = [accuracy(one, testing) for one in (cnn, three, five)]
    print("float, ternary, five levels:", *(f"{one:.3f}" for one in found))
    assert found[2] > found[1] - 0.005
    assert found[2] > found[0] - 0.02
