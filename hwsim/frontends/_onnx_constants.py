"""What ONNX operators make of shapes and constants alone."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import onnx
from onnx import AttributeProto, NodeProto, SparseTensorProto, numpy_helper
from onnx.reference import ReferenceEvaluator

from hwsim.frontends._onnx_values import (
    KEEPS_WIDTH,
    Array,
    Graph,
    Value,
    attributes,
    constant,
    narrowed,
)

# What the reference implementation raises where inputs do not fit.
EVALUATION_FAILURES = (RuntimeError, TypeError, ValueError, IndexError)


def tensors(graph: onnx.GraphProto) -> dict[str, Array]:
    """The arrays that a graph holds, dense or sparse, by name."""
    found = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    return found | {each.values.name: dense(each) for each in graph.sparse_initializer}


def dense(tensor: SparseTensorProto) -> Array:
    """A sparse tensor with its zeros; indices are places, or a row of coordinates each."""
    values = numpy_helper.to_array(tensor.values)
    places = numpy_helper.to_array(tensor.indices)
    found = np.zeros(tuple(tensor.dims), values.dtype)
    at = np.unravel_index(places, found.shape) if places.ndim == 1 else tuple(places.T)
    found[at] = values
    return found


def evaluated(graph: Graph, node: NodeProto) -> dict[str, Value]:
    """The results of a node that depends on shapes and constants alone."""
    given = [graph.values[name] for name in node.input if name]
    if any(one.type == AttributeProto.GRAPH for one in node.attribute):
        raise graph.refusal(node, "its branches depend on data")
    own = BY_SHAPE.get(node.op_type)
    try:
        arrays = [own(node, given)] if own else computed(graph, node)
    except EVALUATION_FAILURES as fault:
        reason = next(iter(str(fault).splitlines()), "") or type(fault).__name__
        raise graph.refusal(node, f"cannot be computed: {reason}") from fault
    found = [constant(array) for array in arrays]
    if node.op_type in KEEPS_WIDTH and given[0].bits:
        found[0] = replace(found[0], bits=narrowed(graph, node, given[0].bits))
    return dict(zip(node.output, found, strict=False))


def computed(graph: Graph, node: NodeProto) -> list[Array]:
    """What the reference implementation makes of a node."""
    names = list(dict.fromkeys(name for name in node.input if name))
    outputs = [name for name in node.output if name]
    reads, makes = ([onnx.ValueInfoProto(name=name) for name in side] for side in (names, outputs))
    alone = onnx.helper.make_graph([node], "alone", reads, makes)
    evaluator = ReferenceEvaluator(alone, opsets={node.domain: graph.opset})
    found = evaluator.run(None, {name: graph.values[name].array for name in names})
    if not all(isinstance(one, np.ndarray | np.generic) for one in found):
        raise graph.refusal(node, "makes something else than tensors")
    return [np.asarray(one) for one in found]


def shape_of(node: NodeProto, given: list[Value]) -> Array:
    """The operator Shape, of a part where it names one."""
    part = attributes(node)
    return np.array(given[0].shape[part.get("start", 0) : part.get("end")], np.int64)


def size_of(node: NodeProto, given: list[Value]) -> Array:
    """The operator Size."""
    return np.array(np.prod(given[0].shape, dtype=np.int64))


def filled(node: NodeProto, given: list[Value]) -> Array:
    """The operator ConstantOfShape; the one number is held once, however many there are."""
    shape, value = given[0].array, attributes(node).get("value")
    assert shape is not None
    number = np.zeros(1, np.float32) if value is None else numpy_helper.to_array(value)
    return np.broadcast_to(number.reshape(()), tuple(int(size) for size in shape))


def held(node: NodeProto, given: list[Value]) -> Array:
    """The operator Constant."""
    ((kind, value),) = attributes(node).items()
    if kind == "value":
        return numpy_helper.to_array(value)
    if kind == "sparse_value":
        return dense(value)
    types = {"float": np.float32, "floats": np.float32, "int": np.int64, "ints": np.int64}
    return np.array(value, types.get(kind.removeprefix("value_")))


def dequantised(node: NodeProto, given: list[Value]) -> Array:
    """The operator DequantizeLinear: a scale for all, for each of an axis, or for each block."""
    codes, scale, *zero = (one.array for one in given)
    assert codes is not None
    assert scale is not None
    axis = attributes(node).get("axis", 1)

    def spread(numbers: Array) -> Array:
        if numbers.size == 1:
            return numbers.reshape(())
        if numbers.ndim == 1:
            ends = [-1 if at == axis % codes.ndim else 1 for at in range(codes.ndim)]
            return numbers.reshape(ends)
        return numbers.repeat(codes.shape[axis] // numbers.shape[axis], axis)

    shifted = codes.astype(np.float32)
    if zero and zero[0] is not None:
        shifted = shifted - spread(zero[0].astype(np.float32))
    found: Array = shifted * spread(scale.astype(np.float32))
    return found


BY_SHAPE: dict[str, Callable[[NodeProto, list[Value]], Array]] = {
    "Shape": shape_of,
    "Size": size_of,
    "ConstantOfShape": filled,
    "Constant": held,
    "DequantizeLinear": dequantised,
}
