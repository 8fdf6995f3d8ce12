"""Jacob et al., arXiv:1712.05877."""

from fractions import Fraction
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper
from torch import nn

from compressors._compress import compress
from compressors._data import Data
from compressors._layers import weight_of
from compressors._plan import uniform
from compressors.activations.uniform import Uniform
from compressors.codes.levels import Levels
from compressors.fixed.affine import multiplier_of, requantised, sums_of_products
from compressors.projectors.affine import Affine
from compressors.weights._form import code_of, latent_of
from hwsim.errors import InputError
from tests.methods.conftest import accuracy
from tests.methods.integer_reference import (
    Integers,
    ifmap_integers,
    quantiser_of,
    sums,
    weight_integers,
)

METHOD = "tensorflow_fixed_point_ops"


def codes(count: int, width: int, seed: int) -> Integers:
    found: Integers = np.random.default_rng(seed).integers(0, 256, (count, width))
    return found


@given(st.integers(-(2**31), 2**31 - 1), st.floats(1e-6, 1.0, exclude_max=True))
@settings(max_examples=300, deadline=None)
def test_the_multiplier_rounds_to_within_half(total: int, real: float) -> None:
    """Two roundings: half a unit of the result each at most, besides the multiplier's 2^-31."""
    multiplier = multiplier_of(real)
    exact = Fraction(multiplier.m0, 2**31) / Fraction(2) ** multiplier.shift
    assert abs(exact / Fraction(real) - 1) <= Fraction(1, 2**30)
    assert 2**30 <= multiplier.m0 < 2**31
    found = int(multiplier(np.array([total]))[0])
    slack = Fraction(1, 2) * (1 + Fraction(1, 2**multiplier.shift))
    assert abs(found - total * exact) <= slack


@given(st.integers(0, 255), st.integers(0, 255), st.integers(0, 1000))
@settings(max_examples=50, deadline=None)
def test_corrections_by_row_sums(ifmap_zero: int, weight_zero: int, seed: int) -> None:
    ifmap, weight = codes(5, 37, seed), codes(4, 37, seed + 1)
    found = sums_of_products(ifmap, weight, ifmap_zero=ifmap_zero, weight_zero=weight_zero)
    assert np.array_equal(found, (ifmap - ifmap_zero) @ (weight - weight_zero).T)


def test_within_one_of_float_and_of_onnxruntime() -> None:
    """Integer-only, against the same sums scaled in float64 and against QLinearMatMul."""
    ifmap, weight = codes(16, 40, 0), codes(6, 40, 1)
    zeros, scales = (120, 131, 90), (0.02, 0.004, 0.05)
    total = sums_of_products(ifmap, weight, ifmap_zero=zeros[0], weight_zero=zeros[1])
    real = scales[0] * scales[1] / scales[2]
    found = requantised(total, multiplier_of(real), zero=zeros[2])
    wanted = (np.rint(total * real) + zeros[2]).clip(0, 255)
    assert np.abs(found - wanted).max() <= 1
    peer = onnxruntime_product(ifmap, weight, zeros, scales)
    assert np.abs(found - peer).max() <= 1
    assert (found != peer).mean() < 0.02
    with pytest.raises(InputError, match="32 bits"):
        requantised(np.array([2**31]), multiplier_of(0.5), zero=0)


def onnxruntime_product(
    ifmap: Integers, weight: Integers, zeros: tuple[int, ...], scales: tuple[float, ...]
) -> Integers:
    """What onnxruntime's integer matrix product makes of the same codes."""
    named: dict[str, Any] = {"b": weight.T.astype(np.uint8)}
    for name, zero, scale in zip("abc", zeros, scales, strict=True):
        named |= {f"{name}_zero": np.uint8(zero), f"{name}_scale": np.float32(scale)}
    names = ["a", "a_scale", "a_zero", "b", "b_scale", "b_zero", "c_scale", "c_zero"]
    graph = helper.make_graph(
        [helper.make_node("QLinearMatMul", names, ["c"])],
        "product",
        [helper.make_tensor_value_info("a", TensorProto.UINT8, ifmap.shape)],
        [helper.make_tensor_value_info("c", TensorProto.UINT8, None)],
        [onnx.numpy_helper.from_array(np.asarray(v), name) for name, v in named.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    found: Integers = session.run(None, {"a": ifmap.astype(np.uint8)})[0].astype(np.int64)
    return found


@given(st.floats(-3, 3), st.floats(0.01, 5), st.integers(2, 8), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_zero_is_exact_and_the_range_is_covered(
    mean: float, width: float, bits: int, seed: int
) -> None:
    draw = torch.Generator().manual_seed(seed)
    weight = torch.randn(6, 5, generator=draw) * width + mean
    weight[0, 0] = 0
    code = Affine(bits=bits).project(weight)
    found = code.decode()
    assert found[0, 0] == 0
    assert code.word_bits == bits
    assert code.scales is not None
    assert float((found - weight).abs().max()) <= float(code.scales.max()) * 1.001


@pytest.mark.parametrize("path", ["3", "6", "9"])
def test_integer_layers_follow_the_network(cnn: nn.Module, training: Data, path: str) -> None:
    """Sums of products of uint8 codes less their zero points, times both scales."""
    layer = compress(cnn, uniform(METHOD), data=training.first(128)).get_submodule(path)
    code, quantiser = code_of(layer), quantiser_of(layer)
    assert isinstance(code, Levels)
    assert isinstance(quantiser, Uniform)
    assert code.scales is not None
    assert (float(quantiser.low), float(quantiser.high)) == (0, 255)
    size = (3, 144) if path == "9" else (3, weight_of(layer).shape[1], 11, 8)
    ifmap = torch.randn(size, generator=torch.Generator().manual_seed(1)) * 2
    layer.register_parameter("bias", None)
    total = sums(layer, ifmap_integers(layer, ifmap), weight_integers(layer))
    scale = code.scales.double().item() * quantiser.step.double().item()
    with torch.no_grad():
        assert np.array_equal(np.rint(layer(ifmap).double().numpy() / scale), total)


def test_integers_alone_lead_from_layer_to_layer(mlp: nn.Module, training: Data) -> None:
    """Bias at the accumulator's step, multiplier, zero point and clipping, which is the rectifier:
    the codes that the next layer's quantiser finds in the float network, give or take one.
    """
    found = compress(mlp, uniform(METHOD), data=training.first(256))
    layer, after = found.get_submodule("3"), quantiser_of(found.get_submodule("5"))
    code, before = code_of(layer), quantiser_of(layer)
    assert isinstance(code, Levels)
    assert isinstance(before, Uniform)
    assert isinstance(after, Uniform)
    assert code.scales is not None
    with torch.no_grad():
        assert isinstance(found, nn.Sequential)
        hidden = found[:3](training.images[:200])
        wanted = after.codes(torch.relu(layer(hidden))).numpy()
    step = code.scales.double().item() * before.step.double().item()
    bias = np.rint(layer.get_parameter("bias").detach().double().numpy() / step).astype(np.int64)
    weight_zero = -int(code.levels.values[0])
    total = sums_of_products(
        before.codes(hidden).numpy(),
        weight_integers(layer) + weight_zero,
        ifmap_zero=int(before.zero),
        weight_zero=weight_zero,
    )
    multiplier = multiplier_of(step / after.step.double().item())
    codes = requantised(total + bias, multiplier, zero=int(after.zero), low=int(after.zero))
    assert np.abs(codes - wanted).max() <= 1
    assert (codes != wanted).mean() < 0.01


def test_training_through_the_rounding_needs_labels(cnn: nn.Module, training: Data) -> None:
    method = (METHOD, {"fit": {"epochs": 0.2, "learning_rate": 0.001}})
    few = training.first(512)
    with pytest.raises(InputError, match="needs labels"):
        compress(cnn, uniform(method), data=Data(images=few.images))
    layer = compress(cnn, uniform(method), data=few).get_submodule("6")
    before = weight_of(cnn.get_submodule("6"))
    assert not torch.equal(latent_of(layer), before)
    assert torch.equal(code_of(layer).decode(), weight_of(layer))
    assert code_of(layer).word_bits == 8


def test_averaged_ranges_follow_the_batches(cnn: nn.Module, training: Data) -> None:
    """After batches of 32: 0.9 of what was, 0.1 of what is seen."""
    images = training.first(96).images
    found = compress(cnn, uniform(METHOD), data=Data(images=images))
    quantiser = quantiser_of(found.get_submodule("0"))
    least, largest = (
        0.81 * float(ends[0]) + 0.09 * float(ends[1]) + 0.1 * float(ends[2])
        for ends in (
            [batch.min() for batch in torch.split(images, 32)],
            [batch.max() for batch in torch.split(images, 32)],
        )
    )
    assert float(quantiser.get_buffer("step")) == pytest.approx((largest - least) / 255, rel=1e-5)


def test_loses_less_than_a_point(cnn: nn.Module, training: Data, testing: Data) -> None:
    found = compress(cnn, uniform(METHOD), data=Data(images=training.first(500).images))
    assert accuracy(found, testing) > accuracy(cnn, testing) - 0.01
