"""Gupta, Agrawal, Gopalakrishnan and Narayanan, ICML 2015."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from compressors._compress import compress
from compressors._data import Data
from compressors._layers import weight_of
from compressors._plan import uniform
from compressors.activations.uniform import Uniform
from compressors.gradients.fixed_point import FixedPoint
from compressors.weights._form import code_of, latent_of
from tests.methods.conftest import accuracy, cross_entropy
from tests.methods.integer_reference import ifmap_integers, quantiser_of, sums, weight_integers

SMALL = {"fit": {"epochs": 0.1}}
METHOD = "stochastic_rounding_gupta"


@given(st.floats(-3, 3), st.integers(2, 8))
@settings(max_examples=20, deadline=None)
def test_the_expectation_is_the_number(number: float, fraction: int) -> None:
    """Over 10^5 draws, within five standard errors of a step's variance of at most 1/4."""
    torch.manual_seed(0)
    found = FixedPoint(bits=16, fraction=fraction)(torch.full((100000,), number).double())
    step = 2.0**-fraction
    assert float(found.mean()) == pytest.approx(number, abs=step * 5 * 0.5 / 100000**0.5 + 1e-12)
    low = np.floor(number / step) * step
    assert set(found.tolist()) <= {low, low + step}


def test_numbers_saturate_and_nearest_is_nearest() -> None:
    grid = FixedPoint(bits=8, fraction=4, stochastic=False)
    assert grid(torch.tensor([100.0, -100.0])).tolist() == [127 / 16, -8.0]
    numbers = torch.randn(500, generator=torch.Generator().manual_seed(0))
    assert float((grid(numbers) - numbers).abs().max()) <= 1 / 32


def test_weights_live_on_the_grid(cnn: nn.Module, training: Data) -> None:
    method = (METHOD, {"bits": 12, "fraction": 9, "fit": {"epochs": 0.2}})
    found = compress(cnn, uniform(method), data=training.first(1000))
    for path in ("0", "3", "6", "9"):
        layer = found.get_submodule(path)
        steps = latent_of(layer).detach() * 2**9
        assert torch.equal(steps, steps.round())
        assert torch.equal(weight_of(layer), latent_of(layer))
        assert (code_of(layer).word_bits, quantiser_of(layer).bits) == (12, 12)
        assert not torch.equal(weight_of(layer), weight_of(cnn.get_submodule(path)))


@pytest.mark.parametrize("path", ["3", "9"])
def test_accumulators_are_wide_and_lose_nothing(cnn: nn.Module, training: Data, path: str) -> None:
    """Sums of 16-bit products fit the paper's 48 bits, and are what the layer computes."""
    method = (METHOD, {"fit": {"epochs": 0}})
    layer = compress(cnn, uniform(method), data=training.first(64)).get_submodule(path).double()
    quantiser = quantiser_of(layer)
    assert isinstance(quantiser, Uniform)
    size = (3, 144) if path == "9" else (3, 8, 9, 7)
    ifmap = torch.randn(size, generator=torch.Generator().manual_seed(0)).double()
    layer.register_parameter("bias", None)
    total = sums(layer, ifmap_integers(layer, ifmap), weight_integers(layer))
    assert np.abs(total).max() < 2**47
    scale = 2.0**-14 * float(quantiser.step)
    with torch.no_grad():
        assert np.array_equal(layer(ifmap).numpy(), total * scale)


@pytest.mark.parametrize("rounding", ["nearest", "stochastic"])
def test_small_updates_are_lost_but_for_chance(training: Data, rounding: str) -> None:
    """Rounded to the nearest, weights with few bits behind the point stand still."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(256, 10, bias=False))
    with torch.no_grad():
        model.get_parameter("1.weight").zero_()
    fit = {"epochs": 4, "learning_rate": 0.01, "momentum": 0, "weight_decay": 0}
    settings = {"bits": 12, "fraction": 6, "rounding": rounding, "fit": fit}
    few = training.first(1500)
    found = compress(model, uniform((METHOD, settings)), data=few)
    if rounding == "nearest":
        assert not weight_of(found.get_submodule("1")).any()
    else:
        assert cross_entropy(found, few) < cross_entropy(model, few) - 0.2


def test_sixteen_bits_are_as_good_as_float(cnn: nn.Module, training: Data, testing: Data) -> None:
    found = compress(cnn, uniform((METHOD, {"fit": {"epochs": 0.3}})), data=training)
    assert accuracy(found, testing) > accuracy(cnn, testing) - 0.005
