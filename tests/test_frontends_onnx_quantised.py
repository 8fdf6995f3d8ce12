"""Widths and zeros that ONNX files tell of, against onnxruntime's quantiser."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from hwsim.frontends.onnx import network_from_onnx
from hwsim.workload import Op
from tests.onnx_models import macs, model, random, saved

QUANTISED = """
agraph (float[1, 3, 9, 12] x) => (float[1, 5] y) {
    made = Conv<pads=[1, 1, 1, 1]>(x, w, b)
    held = Relu(made)
    pooled = GlobalAveragePool(held)
    flat = Flatten(pooled)
    y = Gemm<transB=1>(flat, v, c)
}
"""


class Images:
    """Calibration images, as onnxruntime's quantiser asks for them."""

    def __init__(self) -> None:
        self.left = [{"x": random(1, 3, 9, 12, seed=seed)} for seed in range(4)]

    def get_next(self) -> dict[str, Any] | None:
        return self.left.pop() if self.left else None


def float_model(folder: Path) -> Path:
    """A convolution, half of whose filters are zero, and a linear layer."""
    weights = random(8, 3, 3, 3) - 1
    weights[::2] = 0
    arrays = {"w": weights, "b": random(8), "v": random(5, 8) - 1, "c": random(5)}
    return saved(model(QUANTISED, **arrays), folder)


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("form", ["QDQ", "QOperator"])
def test_quantised_models_bring_their_widths(tmp_path: Path, form: str, per_channel: bool) -> None:
    quantization = pytest.importorskip("onnxruntime.quantization", reason="of the test extra")
    path = tmp_path / "int8.onnx"
    quantization.quantize_static(
        float_model(tmp_path),
        path,
        Images(),
        quant_format=getattr(quantization.QuantFormat, form),
        per_channel=per_channel,
        weight_type=quantization.QuantType.QInt8,
    )
    network = network_from_onnx(path)
    conv, linear = (layer for layer in network if layer.weighted)
    for layer in (conv, linear):
        assert (layer.ifmap.bits, layer.weight.bits) == (8, 8)
    assert conv.ofmap.bits == 8
    assert conv.weight.zeros is not None
    assert not conv.weight.zeros.mask[::2].any()
    assert macs(network) == macs(network_from_onnx(tmp_path / "net.onnx"))
    assert {layer.op for layer in network} <= {Op.CONV, Op.LINEAR, Op.POOL, Op.ACTIVATION}


def test_operators_on_integers_bring_their_widths(tmp_path: Path) -> None:
    quantization = pytest.importorskip("onnxruntime.quantization", reason="of the test extra")
    path = tmp_path / "dynamic.onnx"
    quantization.quantize_dynamic(float_model(tmp_path), path)
    assert {"ConvInteger", "MatMulInteger"} <= {node.op_type for node in onnx.load(path).graph.node}
    network = network_from_onnx(path)
    conv, linear = (layer for layer in network if layer.weighted)
    assert (conv.ifmap.bits, conv.weight.bits, linear.ifmap.bits, linear.weight.bits) == (8,) * 4
    assert macs(network) == macs(network_from_onnx(tmp_path / "net.onnx"))


def test_clipped_integers_are_as_wide_as_their_range(tmp_path: Path) -> None:
    text = """
        agraph (float[1, 3, 9, 12] x) => (float[1, 8, 7, 10] y) {
            q = QuantizeLinear(x, s, zero)
            narrow = Clip(q, low, high)
            real = DequantizeLinear(narrow, s, zero)
            codes = Clip(w, low, high)
            weight = DequantizeLinear<axis=0>(codes, t, zeros)
            y = Conv(real, weight)
        }
        """
    codes = np.arange(8 * 27, dtype=np.int8).reshape(8, 3, 3, 3) % 8
    arrays: dict[str, Any] = {
        "s": np.float32(0.5),
        "zero": np.int8(0),
        "low": np.int8(-8),
        "high": np.int8(7),
        "w": codes,
        "t": random(8),
        "zeros": np.ones(8, np.int8),
    }
    (layer,) = network_from_onnx(saved(model(text, **arrays), tmp_path))
    assert (layer.ifmap.bits, layer.weight.bits, layer.ofmap.bits) == (4, 4, 16)
    assert layer.psum.bits == 4 + 4 + 5
    assert layer.weight.zeros is not None
    assert np.array_equal(layer.weight.zeros.mask, codes != 1)


@pytest.mark.parametrize("flat", [False, True])
def test_sparse_tensors_keep_their_zeros(tmp_path: Path, flat: bool) -> None:
    weights = np.zeros((4, 3, 2, 1), np.float32)
    places = np.array([[0, 1, 0, 0], [1, 2, 1, 0], [3, 0, 1, 0]])
    weights[tuple(places.T)] = (1, 2, 3)
    text = "agraph (float[1, 3, 9, 12] x) => (float[1, 4, 8, 12] y) { y = Conv(x, w) }"
    found = model(text)
    indices = np.ravel_multi_index(tuple(places.T), weights.shape) if flat else places
    values = onnx.numpy_helper.from_array(np.array([1, 2, 3], np.float32), "w")
    tensor = onnx.helper.make_sparse_tensor(
        values, onnx.numpy_helper.from_array(indices), list(weights.shape)
    )
    found.graph.sparse_initializer.append(tensor)
    (layer,) = network_from_onnx(saved(found, tmp_path))
    assert layer.weight.zeros is not None
    assert np.array_equal(layer.weight.zeros.mask, weights != 0)
