"""Vanhoucke, Senior and Mao, NIPS 2011 workshop."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import nn

from compressors._compress import compress
from compressors._data import Data
from compressors._layers import weight_of
from compressors._plan import uniform
from compressors.activations._quantiser import input_quantiser
from compressors.codes.levels import Levels
from compressors.vanhoucke_cpu_int8 import may_saturate, requested
from compressors.weights._form import code_of
from tests.methods.conftest import accuracy
from tests.methods.integer_reference import (
    Integers,
    ifmap_integers,
    quantiser_of,
    sums,
    weight_integers,
)

METHOD = "vanhoucke_cpu_int8"


def test_unsigned_times_signed_bytes_in_whole_numbers(mlp: nn.Module, training: Data) -> None:
    found = compress(mlp, uniform(METHOD), data=training.first(128))
    for path in ("3", "5"):
        layer = found.get_submodule(path)
        assert isinstance(layer, nn.Linear)
        ifmap = torch.rand(9, layer.in_features, generator=torch.Generator().manual_seed(0)) * 3
        codes, weights = ifmap_integers(layer, ifmap), weight_integers(layer)
        assert codes.min() >= 0
        assert codes.max() <= 255
        assert np.abs(weights).max() == 127
        total = sums(layer, codes, weights)
        assert np.abs(total).max() < 2**31
        code, step = code_of(layer), quantiser_of(layer).get_buffer("step").double()
        assert isinstance(code, Levels)
        assert code.scales is not None
        assert code.scales.numel() == 1
        scale = code.scales.double().item() * step.item()
        bias = layer.bias.detach().double().numpy() / scale
        assert np.abs(bias - np.rint(bias)).max() < 1e-3
        with torch.no_grad():
            products = (layer(ifmap) - layer.bias).double().numpy()
        assert np.array_equal(np.rint(products / scale), total)


def pmaddubsw(activations: Integers, weights: Integers) -> tuple[Integers, bool]:
    """Sums of neighbouring products of bytes in 16 bits, and whether one clipped."""
    pairs = (activations * weights).reshape(-1, 2).sum(1)
    clipped = pairs.clip(-32768, 32767)
    return clipped, bool((clipped != pairs).any())


BYTES = arrays(np.int64, 8, elements=st.integers(-128, 127))


@given(BYTES, arrays(np.int64, 8, elements=st.integers(0, 255)))
@settings(max_examples=200, deadline=None)
def test_saturation_of_pairs_is_flagged(weights: Integers, activations: Integers) -> None:
    flagged = bool(may_saturate(weights[None])[0])
    assert flagged or not pmaddubsw(activations, weights)[1]
    worst = (np.where(weights > 0, 255, 0), np.where(weights < 0, 255, 0))
    assert flagged == any(pmaddubsw(ifmap, weights)[1] for ifmap in worst)


def test_only_what_is_asked_for_is_computed(mlp: nn.Module, training: Data) -> None:
    layer = compress(mlp, uniform(METHOD), data=training.first(16)).get_submodule("5")
    assert isinstance(layer, nn.Linear)
    ifmap = torch.rand(6, 50)
    some = requested(layer, quantiser_of(layer)(ifmap), [7, 2])
    assert some.shape == (6, 2)
    assert torch.allclose(some, layer(ifmap)[:, [7, 2]], atol=1e-6)


def test_the_image_is_read_as_floats(mlp: nn.Module, training: Data) -> None:
    found = compress(mlp, uniform(METHOD), data=training.first(16))
    assert input_quantiser(found.get_submodule("1")) is None
    everything = compress(mlp, uniform((METHOD, {"float_image": False})), data=training.first(16))
    assert quantiser_of(everything.get_submodule("1")).bits == 8
    assert len(torch.unique(weight_of(found.get_submodule("1")))) <= 255


def test_loses_less_than_a_third_of_a_point(mlp: nn.Module, training: Data, testing: Data) -> None:
    found = compress(mlp, uniform(METHOD), data=training.first(500))
    assert accuracy(found, testing) > accuracy(mlp, testing) - 0.003
