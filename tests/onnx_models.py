"""ONNX models for tests, and their MACs counted by other ways than hwsim's."""

from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, numpy_helper, parser, shape_inference

from hwsim.workload import Network

LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")


CONV = """
agraph (float[N, 3, 9, 12] x) => (float[N, 8, P, Q] y) {
    made = Conv<strides=[2, 1], pads=[1, 0, 0, 2], dilations=[1, 2]>(x, w)
    y = Relu(made)
}
"""


def macs(network: Network) -> int:
    """Of all layers."""
    return sum(layer.macs for layer in network)


def random(*shape: int, seed: int = 0) -> Any:
    """Float32 numbers, none of them zero."""
    return np.random.default_rng(seed).uniform(0.5, 1.5, shape).astype(np.float32)


def model(text: str, *, opset: int = 17, **arrays: Any) -> ModelProto:
    """A model of ONNX's own notation, with these arrays as initialisers."""
    found = parser.parse_model(f'<ir_version: 8, opset_import: ["" : {opset}]> {text}')
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in arrays.items()]
    found.graph.initializer.extend(tensors)
    return found


def saved(found: ModelProto, folder: Path, name: str = "net.onnx") -> Path:
    """The model as a file."""
    path = folder / name
    onnx.save(found, path)
    return path


def inferred_macs(path: Path) -> int:
    """By the shapes that ONNX infers of the model as a whole."""
    found = shape_inference.infer_shapes(onnx.load(path), strict_mode=True, data_prop=True)
    graph = found.graph
    shapes = {
        value.name: tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim)
        for value in (*graph.input, *graph.output, *graph.value_info)
    }
    shapes |= {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    return sum(node_macs(node, shapes) for node in graph.node)


def executed_macs(path: Path, **images: Any) -> int:
    """By the shapes of what onnxruntime computes."""
    import onnxruntime

    found = onnx.load(path)
    weighted = [node for node in found.graph.node if node.op_type in WEIGHTED]
    wanted = {name for node in weighted for name in (*node.input[:2], *node.output)}
    held = {tensor.name: tuple(tensor.dims) for tensor in found.graph.initializer}
    outputs = sorted(wanted - held.keys() - images.keys())
    del found.graph.output[:]
    found.graph.output.extend(onnx.ValueInfoProto(name=name) for name in outputs)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(
        found.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    results = session.run(outputs, images)
    shapes = {name: value.shape for name, value in zip(outputs, results, strict=True)}
    shapes |= held | {name: value.shape for name, value in images.items()}
    return sum(node_macs(node, shapes) for node in weighted)


def node_macs(node: NodeProto, shapes: dict[str, tuple[int, ...]]) -> int:
    """Of one node; 0 of one without weights."""
    if node.op_type not in WEIGHTED:
        return 0
    ifmap, weight, ofmap = (shapes[name] for name in (*node.input[:2], node.output[0]))
    if node.op_type == "ConvTranspose":
        return prod(ifmap) * prod(weight[1:])
    if node.op_type == "Conv":
        return prod(ofmap) * prod(weight[1:])
    turned = any(one.name == "transA" and one.i for one in node.attribute)
    return prod(ofmap) * ifmap[0 if turned else -1]
