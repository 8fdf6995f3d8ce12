"""onnxruntime's integer kernels, an independent oracle, give the codes that fixed point gives.

The graph is written node by node from the compressed network's codes and steps, all zero points 0:
QLinearConv for convolutions, MatMulInteger for the linear layer. Where onnxruntime rounds:

- QLinearConv multiplies its int32 sums by a float32 ratio of steps and rounds half to even: exact
  here, since the ratio is a power of two and the sums have fewer than 24 bits.
- ReLU and ReLU6 act on codes, after the rounding: the same, since rounding is monotone and their
  bounds lie on the grid.
- The residual add and the average pool are written dequantise, compute in float, quantise. The pool
  is a sum and one division: GlobalAveragePool may multiply by a rounded reciprocal instead.
- Graph optimisations are off: fusion would put other kernels in the place of these.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import fx, nn

from compressors.fixed.grid import Quantiser
from compressors.fixed.integer import integer_forward
from compressors.fixed.layers import FixedPointConv, FixedPointLinear
from compressors.fixed_point import Config
from tests.fixed_point_networks import Residual, randomise
from tests.fixed_point_networks import fixed as compress

onnx = pytest.importorskip("onnx", reason="onnx is part of the test extra")
onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is part of the test extra")


class Writer:
    """Collects ONNX nodes and initialisers; every method returns the name of its result."""

    def __init__(self) -> None:
        self.nodes: list[object] = []
        self.constants: dict[str, NDArray[np.generic]] = {}

    def constant(self, value: NDArray[np.generic]) -> str:
        name = f"constant{len(self.constants)}"
        self.constants[name] = value
        return name

    def step(self, fl: int) -> str:
        return self.constant(np.array(2.0**-fl, dtype=np.float32))

    def add(self, operator: str, *inputs: str, **attributes: int | Iterable[int]) -> str:
        output = f"value{len(self.nodes)}"
        self.nodes.append(onnx.helper.make_node(operator, inputs, [output], **attributes))
        return output

    def quantise(self, real: str, fl: int) -> str:
        return self.add(
            "QuantizeLinear", real, self.step(fl), self.constant(np.array(0, dtype=np.int8))
        )

    def dequantise(self, codes: str, fl: int) -> str:
        return self.add("DequantizeLinear", codes, self.step(fl))

    def convolve(self, codes: str, layer: FixedPointConv, ofmap_fl: int) -> str:
        zero = self.constant(np.array(0, dtype=np.int8))
        pads = [int(pad) for pad in layer.padding]
        return self.add(
            "QLinearConv",
            *(codes, self.step(layer.ifmap_fl), zero),
            *(self.constant(layer.weight_codes.numpy()), self.step(layer.weight_fl), zero),
            *(self.step(ofmap_fl), zero),
            self.constant(layer.bias_codes.numpy().astype(np.int32)),
            strides=layer.stride,
            dilations=layer.dilation,
            pads=[*pads, *pads],
            group=layer.groups,
        )

    def multiply(self, codes: str, layer: FixedPointLinear, ofmap_fl: int) -> str:
        products = self.add(
            "MatMulInteger", codes, self.constant(layer.weight_codes.numpy().T.copy())
        )
        bias = self.constant(layer.bias_codes.numpy().astype(np.int32))
        sums = self.add("Add", products, bias)
        return self.quantise(self.dequantise(sums, layer.ifmap_fl + layer.weight_fl), ofmap_fl)

    def clip(self, codes: str, high: int) -> str:
        bounds = (self.constant(np.array(bound, dtype=np.int8)) for bound in (0, high))
        return self.add("Clip", codes, *bounds)

    def session(self, outputs: list[str], shape: tuple[int, ...]) -> Any:
        def value(name: str, sizes: tuple[int, ...] | None) -> object:
            return onnx.helper.make_tensor_value_info(name, onnx.TensorProto.INT8, sizes)

        graph = onnx.helper.make_graph(
            self.nodes,
            "fixed_point",
            [value("images", shape)],
            [value(name, None) for name in outputs],
            [onnx.numpy_helper.from_array(array, name) for name, array in self.constants.items()],
        )
        opset = [onnx.helper.make_opsetid("", 17)]
        model = onnx.helper.make_model(graph, opset_imports=opset, ir_version=8)
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.intra_op_num_threads = 1
        return onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )


def write_residual(writer: Writer, fixed: fx.GraphModule) -> dict[str, str]:
    """`Residual` in ONNX: the name of each activation's codes, by quantiser path."""
    modules = dict(fixed.named_modules())
    fls = {name: m.fl for name, m in modules.items() if isinstance(m, Quantiser)}

    def convolution(codes: str, path: str, quantiser: str) -> str:
        layer = modules[path]
        assert isinstance(layer, FixedPointConv)
        return writer.convolve(codes, layer, fls[quantiser])

    names = {}
    stem = convolution("images", "stem.0", "quantisers.stem_1")
    names["quantisers.stem_1"] = stem = writer.clip(stem, 127)
    depthwise = convolution(stem, "depthwise.0", "quantisers.depthwise_1")
    six = min(127, int(6 * 2.0 ** fls["quantisers.depthwise_1"]))
    names["quantisers.depthwise_1"] = depthwise = writer.clip(depthwise, six)
    project = convolution(depthwise, "project", "quantisers.project")
    names["quantisers.project"] = project
    operands = (
        writer.dequantise(stem, fls["quantisers.stem_1"]),
        writer.dequantise(project, fls["quantisers.project"]),
    )
    names["quantisers.add"] = added = writer.quantise(
        writer.add("Add", *operands), fls["quantisers.add"]
    )
    real = writer.dequantise(added, fls["quantisers.add"])
    axes = writer.constant(np.array([2, 3], dtype=np.int64))
    sums = writer.add("ReduceSum", real, axes, keepdims=0)
    size = writer.constant(np.array(AREA, dtype=np.float32))
    pooled = writer.quantise(writer.add("Div", sums, size), fls["quantisers.pool"])
    names["quantisers.pool"] = pooled
    linear = modules["classifier"]
    assert isinstance(linear, FixedPointLinear)
    logits = writer.multiply(pooled, linear, fls["quantisers.classifier"])
    names["quantisers.classifier"] = logits
    return names


HEIGHT, WIDTH = 9, 12
AREA = HEIGHT * (WIDTH - 1)  # ofmap of the 3x2 stem


@pytest.mark.parametrize("seed", range(4))
def test_onnxruntime_computes_the_same_codes(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(20, 2, HEIGHT, WIDTH, generator=generator)
    network: nn.Module = randomise(Residual(), seed=seed)
    fixed = compress(network, Config(), calibration=images)
    source = next(m for m in fixed.modules() if isinstance(m, Quantiser))
    codes = source.codes(images)
    wanted = integer_forward(fixed, codes)
    writer = Writer()
    names = write_residual(writer, fixed)
    session = writer.session(list(names.values()), tuple(codes.shape))
    results = session.run(None, {"images": codes.numpy().astype(np.int8)})
    assert names.keys() | {"quantisers.images"} == wanted.keys()
    for path, found in zip(names, results, strict=True):
        shown = torch.from_numpy(found.astype(np.int64)).reshape(wanted[path].shape)
        assert torch.equal(shown, wanted[path]), path
    final = fixed.get_submodule("quantisers.classifier")
    assert isinstance(final, Quantiser)
    assert torch.equal(final.codes(fixed(images)), wanted["quantisers.classifier"])
