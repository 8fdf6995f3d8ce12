"""Five levels, -2 to 2 times a scale: the set of Leng et al., AAAI 2018."""

from itertools import product

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from compressors._compress import compress
from compressors._data import Data
from compressors._layers import weight_of
from compressors._plan import uniform
from compressors.projectors.scaled_levels import ScaledLevels
from compressors.projectors.ternary import Ternary
from compressors.weights._form import code_of, latent_of
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


def test_no_other_levels_are_better() -> None:
    """Of each filter by itself: all 5^5 choices, each with the scale that is best for it; rows of
    whole numbers, and one of zeros, have ties.
    """
    draw = np.random.default_rng(0)
    rows = [draw.normal(size=(400, 5)), draw.integers(-4, 5, (200, 5)), np.zeros((1, 5))]
    weights = np.concatenate(rows).astype(np.float32).astype(float)
    found = ScaledLevels(last=1, scope="filter").project(torch.tensor(weights).float()).decode()
    errors = np.square(found.double().numpy() - weights).sum(1)
    levels = np.array([q for q in product(range(-2, 3), repeat=5) if any(q)], dtype=float)
    gains = (weights @ levels.T) ** 2 / np.square(levels).sum(1)
    assert np.allclose(errors, np.square(weights).sum(1) - gains.max(1), atol=1e-5)


def test_error_is_less_than_a_ternary_one() -> None:
    for seed in range(5):
        weights = torch.randn(8, 30, generator=torch.Generator().manual_seed(seed))
        five = ScaledLevels(last=1).project(weights).decode()
        three = ScaledLevels(last=0).project(weights).decode()
        thresholded = Ternary().project(weights).decode()
        errors = [squared_error(one, weights) for one in (five, three, thresholded)]
        assert errors[0] < errors[1] <= errors[2]
        assert torch.equal(ScaledLevels(last=1).project(five).decode(), five)


@pytest.mark.parametrize(("scope", "scales"), [("layer", 1), ("filter", 4)])
def test_floats_get_the_gradient_of_the_levels(scope: str, scales: int) -> None:
    """Straight through, whatever the level; and three bits a weight, 32 a scale."""
    torch.manual_seed(0)
    model, images = nn.Sequential(nn.Linear(9, 4)), torch.randn(5, 9)
    data = Data(images=images, labels=torch.zeros(5, dtype=torch.int64))
    settings = {"scope": scope, "fit": {"epochs": 0}}
    layer = compress(model, uniform(("quinary_weights", settings)), data=data).get_submodule("0")
    weight = weight_of(layer).detach().clone().requires_grad_()
    torch.autograd.backward(functional.linear(images, weight).sin().sum())
    torch.autograd.backward(functional.linear(images, weight_of(layer)).sin().sum())
    assert torch.equal(latent_of(layer), weight_of(model[0]))
    assert torch.allclose(latent_of(layer).grad, weight.grad)  # type: ignore[arg-type]  # both are there
    assert code_of(layer).bits() == 3 * 36 + 32 * scales


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
