"""Migacz, "8-bit Inference with TensorRT", GTC 2017.

The catalogue's T = (i + 0.5) x bin width is the slides'; where nothing is clipped, i is all bins
and T is the largest value instead.
"""

import math

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
from compressors.activations._ranges import BINS, divergence, threshold, without_spikes
from compressors.activations.uniform import Settings, calibrated
from compressors.codes.levels import Levels
from compressors.fixed.calibration import Observation
from compressors.weights._form import code_of
from tests.methods.conftest import accuracy
from tests.methods.integer_reference import ifmap_integers, quantiser_of, sums, weight_integers


def plain_divergence(histogram: list[float], kept: int, levels: int) -> float:
    """The slides' pseudocode, bin by bin."""
    p = histogram[:kept]
    p[-1] += sum(histogram[kept:])
    q = [0.0] * kept
    for level in range(levels):
        members = range(level * kept // levels, (level + 1) * kept // levels)
        filled = [m for m in members if p[m] > 0]
        for m in filled:
            q[m] = sum(histogram[m] for m in members) / len(filled)
    if sum(q) == 0:
        return math.inf
    loss = 0.0
    for p_bin, q_bin in zip(p, q, strict=True):
        if p_bin and not q_bin:
            return math.inf
        if p_bin:
            loss += p_bin / sum(p) * math.log(p_bin / sum(p) * sum(q) / q_bin)
    return loss


@given(st.lists(st.integers(0, 20), min_size=12, max_size=40).filter(sum), st.integers(2, 8))
@settings(max_examples=60, deadline=None)
def test_divergence_is_that_of_the_slides(counts: list[int], levels: int) -> None:
    histogram = [float(count) for count in counts]
    losses = []
    for kept in range(levels, len(counts) + 1):
        wanted = plain_divergence(list(histogram), kept, levels)
        assert divergence(np.array(histogram), kept, levels) == pytest.approx(wanted, abs=1e-12)
        losses.append(wanted)
    found = threshold(np.array(histogram), levels=levels)
    kept = round(found - 0.5) if found < len(counts) else len(counts)
    assert losses[kept - levels] == pytest.approx(min(losses), abs=1e-12)


def test_as_many_bins_as_levels_lose_by_clipping_alone() -> None:
    counts = np.random.default_rng(0).integers(1, 50, 128).astype(np.float64)
    assert divergence(counts, 128, 128) == 0.0
    clipped = np.concatenate([counts, [200.0]])
    p = counts.copy()
    p[-1] += 200
    wanted = float((p / p.sum() * np.log(p / p.sum() * counts.sum() / counts)).sum())
    assert divergence(clipped, 128, 128) == pytest.approx(wanted)


def reach(values: torch.Tensor, rule: str) -> float:
    """The largest magnitude that a calibrated quantiser covers, as a share of the largest seen."""
    seen = Observation()
    seen.add(values)
    quantiser = calibrated(Settings(rule=rule, signed=True), seen)
    assert (float(quantiser.low), float(quantiser.high)) == (-128, 127)
    return float(quantiser.step * 127) / seen.largest


def test_heavy_tails_are_clipped_and_flat_ones_are_not() -> None:
    draw = np.random.default_rng(0)
    heavy = torch.from_numpy(draw.standard_t(3, 30000)).float()
    flat = torch.from_numpy(draw.uniform(-1, 1, 30000)).float()
    assert reach(heavy, "kl") < 0.5
    assert reach(flat, "kl") > 0.95
    assert reach(heavy, "max") == pytest.approx(1)
    assert BINS == 2048


def test_outliers_cost_less_than_under_the_largest(cnn: nn.Module, training: Data) -> None:
    """One pixel of a thousand of one image is thirty times too bright."""
    images = training.first(128).images.clone()
    images[0, 0, :1, :8] *= 30
    clean = training.first(128).images
    error = {}
    for rule in ("kl", "max"):
        method = ("tensorrt_int8_kl", {"rule": rule})
        found = compress(cnn, uniform(method), data=Data(images=images))
        with torch.no_grad():
            error[rule] = float((found(clean) - cnn(clean)).square().mean())
    assert error["kl"] < error["max"] / 2


def test_a_scale_for_each_filter(cnn: nn.Module, training: Data) -> None:
    found = compress(cnn, uniform("tensorrt_int8_kl"), data=training.first(64))
    for path in ("0", "3", "6", "9"):
        layer, before = found.get_submodule(path), weight_of(cnn.get_submodule(path)).detach()
        code = code_of(layer)
        assert isinstance(code, Levels)
        assert code.scales is not None
        wanted = before.flatten(1).abs().max(1).values / 127
        assert torch.allclose(code.scales.flatten(), wanted)
        assert np.abs(weight_integers(layer)).max() == 127


@pytest.mark.parametrize("path", ["0", "3", "6", "9"])
def test_integer_arithmetic(cnn: nn.Module, training: Data, path: str) -> None:
    """Sums of products of int8 codes in int64, times both scales."""
    layer = compress(cnn, uniform("tensorrt_int8_kl"), data=training.first(64)).get_submodule(path)
    size = (3, 144) if path == "9" else (3, weight_of(layer).shape[1], 11, 8)
    ifmap = torch.randn(size, generator=torch.Generator().manual_seed(1)) * 2
    layer.register_parameter("bias", None)
    total = sums(layer, ifmap_integers(layer, ifmap), weight_integers(layer))
    code = code_of(layer)
    assert isinstance(code, Levels)
    assert code.scales is not None
    step = quantiser_of(layer).get_buffer("step").double()
    scale = (code.scales.double() * step).flatten().reshape(1, -1, *[1] * (total.ndim - 2))
    with torch.no_grad():
        assert torch.allclose(layer(ifmap).double(), torch.from_numpy(total) * scale, atol=1e-5)
        assert np.array_equal(np.rint((layer(ifmap).double() / scale).numpy()), total)


def test_a_plain_background_does_not_narrow_the_range() -> None:
    """Half of all numbers are one value: it may not make the rest look cheap to clip."""
    values = torch.from_numpy(np.random.default_rng(0).uniform(0.01, 2, 30000)).float()
    values[::2] = 0.8
    assert reach(values, "kl") > 0.95
    counts = np.array([0.0, 3, 9, 4, 0, 0, 2, 7, 5, 6, 0])
    wanted = np.array([0.0, 3, 4, 4, 0, 0, 2, 5, 5, 5, 0])
    assert np.array_equal(without_spikes(counts), wanted)


def test_loses_less_than_a_point(cnn: nn.Module, training: Data, testing: Data) -> None:
    """500 images, no labels."""
    found = compress(cnn, uniform("tensorrt_int8_kl"), data=Data(images=training.images))
    assert accuracy(found, testing) > accuracy(cnn, testing) - 0.01
