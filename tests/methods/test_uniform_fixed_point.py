"""Uniform fixed point: error bounds, signal to noise, and integer arithmetic."""

from math import ceil, log2

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
from compressors.activations.uniform import Settings, calibrated
from compressors.codes._level_sets import Integers
from compressors.fixed.calibration import Observation
from compressors.projectors.uniform import Uniform
from compressors.weights._form import code_of
from hwsim.errors import InputError
from tests.methods.conftest import accuracy
from tests.methods.integer_reference import (
    ifmap_integers,
    quantiser_of,
    sums,
    weight_integers,
)

SMALL = {"activation_bits": 8}
EIGHT = ("uniform_fixed_point", {"bits": 8, "activation_bits": 8})
POWERS = (
    "uniform_fixed_point",
    {"bits": 8, "activation_bits": 8, "power_of_two": True, "rule": "mse"},
)


def gaussian(count: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(4, count // 4, generator=torch.Generator().manual_seed(seed))


@given(
    st.integers(2, 12),
    st.sampled_from(["layer", "filter"]),
    st.booleans(),
    st.booleans(),
    st.integers(0, 99),
)
@settings(max_examples=30, deadline=None)
def test_error_is_at_most_half_a_step(
    bits: int, scope: str, power_of_two: bool, narrow: bool, seed: int
) -> None:
    weights = gaussian(64, seed)
    projector = Uniform(bits=bits, scope=scope, power_of_two=power_of_two, narrow=narrow)
    code = projector.project(weights)
    assert code.scales is not None
    error = (code.decode() - weights).abs()
    assert torch.all(error <= code.scales / 2 * (1 + 1e-6))
    again = projector.project(code.decode())
    assert torch.equal(again.indices, code.indices) or power_of_two
    assert torch.allclose(again.decode(), code.decode())
    if power_of_two:
        assert torch.equal(torch.exp2(code.scales.log2().round()), code.scales)


def test_six_decibels_a_bit() -> None:
    """Each bit halves the step: 20 log10(2) dB, less what a wider range costs a Gaussian."""
    weights = gaussian(40000)
    noise = []
    for bits in range(4, 13):
        error = Uniform(bits=bits, rule="max").project(weights).decode() - weights
        noise.append(float(10 * torch.log10(weights.square().mean() / error.square().mean())))
    assert np.diff(noise) == pytest.approx([6.02] * 8, abs=0.7)
    step = 2 * float(weights.abs().max()) / (2**12 - 2)
    assert noise[-1] == pytest.approx(10 * np.log10(12 / step**2), abs=0.1)


@pytest.mark.parametrize("power_of_two", [False, True])
def test_no_step_is_better_by_two_percent(power_of_two: bool) -> None:
    weights = gaussian(4000)
    for bits in (2, 3, 4, 8):
        projector = Uniform(bits=bits, rule="mse", power_of_two=power_of_two)
        code = projector.project(weights)
        assert code.scales is not None
        found = float((code.decode() - weights).square().sum())
        low, high = projector.levels.low, projector.levels.high
        top = float(code.scales) * 4
        tried = 2.0 ** np.arange(-20, 5) if power_of_two else np.linspace(top / 400, top, 400)
        for step in tried:
            rounded = (weights / step).round().clamp(low, high) * step
            assert found <= float((rounded - weights).square().sum()) * 1.02


def test_percentile_clips_so_many() -> None:
    weights = torch.arange(1, 1001) / 1000
    code = Uniform(bits=8, rule="percentile", percentile=90.0).project(weights[None])
    assert code.scales is not None
    assert float(code.scales) == pytest.approx(0.9 / 127)


@pytest.mark.parametrize("path", ["0", "3", "6", "9"])
def test_integer_arithmetic_gives_the_same_bits(cnn: nn.Module, training: Data, path: str) -> None:
    """Powers of two as steps: int64 sums, shifted, equal what the float network computes."""
    compressed = compress(cnn, uniform(POWERS), data=training.first(64))
    layer = compressed.get_submodule(path)
    size = (3, 144) if path == "9" else (3, weight_of(layer).shape[1], 11, 8)
    ifmap = torch.randn(size, generator=torch.Generator().manual_seed(1)) * 2
    layer.register_parameter("bias", None)
    codes, weights = ifmap_integers(layer, ifmap), weight_integers(layer)
    total = sums(layer, codes, weights)
    bits = 8 + 8 + ceil(log2(weights[0].size))
    assert np.abs(total).max() < 2 ** (bits - 1)
    step = quantiser_of(layer).get_buffer("step")
    scale = float(code_of(layer).parts.tables["scales"]) * float(step)
    with torch.no_grad():
        assert torch.equal(layer(ifmap).double(), torch.from_numpy(total * scale))


def test_codes_are_integers_of_so_many_bits(cnn: nn.Module, training: Data) -> None:
    compressed = compress(cnn, uniform(EIGHT), data=training.first(64))
    for path in ("0", "3", "6", "9"):
        layer = compressed.get_submodule(path)
        code = code_of(layer)
        assert code.word_bits == 8
        assert code.bits() == 8 * weight_of(layer).numel() + 32
        assert quantiser_of(layer).bits == 8


@given(st.sampled_from(["max", "mse", "percentile", "ema"]), st.booleans(), st.booleans())
@settings(max_examples=12, deadline=None)
def test_activations_round_to_the_nearest_level(rule: str, affine: bool, rectified: bool) -> None:
    values = gaussian(4000) + 0.3
    values = values.relu() if rectified else values
    seen = Observation()
    seen.add(values)
    quantiser = calibrated(Settings(bits=4, rule=rule, affine=affine), seen)
    codes = torch.arange(int(quantiser.low), int(quantiser.high) + 1) - quantiser.zero
    levels = codes * quantiser.step
    assert len(levels) == 16
    assert 0.0 in levels
    wanted = (values.flatten()[:, None] - levels).abs().min(1).values
    assert torch.allclose((quantiser(values) - values).flatten().abs(), wanted, atol=1e-6)
    if rule == "max":
        assert float(wanted.max()) <= float(quantiser.step) * (1 if affine else 0.5) + 1e-6
    probe = torch.tensor([float(levels[0]) - 1, float(levels[3]), float(levels[-1]) + 1])
    probe.requires_grad_()
    torch.autograd.backward(quantiser(probe).sum())
    assert torch.equal(probe.grad, torch.tensor([0.0, 1.0, 0.0]))  # type: ignore[arg-type]  # set


def test_eight_bits_lose_less_than_half_a_point(
    cnn: nn.Module, training: Data, testing: Data
) -> None:
    before = accuracy(cnn, testing)
    for method in (EIGHT, POWERS):
        found = accuracy(compress(cnn, uniform(method), data=training.first(256)), testing)
        assert found > before - 0.005


def test_activations_need_images(cnn: nn.Module) -> None:
    with pytest.raises(InputError, match="needs images"):
        compress(cnn, uniform(EIGHT))
    with pytest.raises(InputError, match="does not fit the network"):
        compress(cnn, uniform(EIGHT), data=Data(images=torch.randn(2, 7, 9, 9)))


class Idle(nn.Module):
    """Has a layer of which it makes no use."""

    def __init__(self) -> None:
        super().__init__()
        self.used, self.spare = nn.Linear(256, 10), nn.Linear(256, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.used(images.flatten(1))
        return logits


def test_a_layer_that_never_runs_is_named(training: Data) -> None:
    with pytest.raises(InputError, match=r"'spare': .*no calibration image reaches it"):
        compress(Idle(), uniform(EIGHT), data=training.first(8))


def test_ternary_is_two_bits_without_the_least() -> None:
    assert Uniform(bits=2, narrow=True).levels == Integers(low=-1, high=1)
