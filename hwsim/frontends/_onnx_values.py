"""What is known of an ONNX graph: its nodes, and the values between them."""

from dataclasses import dataclass, field
from typing import Any

import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, TypeProto

from hwsim.errors import UnsupportedOperatorError
from hwsim.frontends._shapes import Shape

Array = NDArray[Any]

BITS = {
    2: ("INT2", "UINT2"),
    4: ("INT4", "UINT4", "FLOAT4E2M1"),
    8: ("INT8", "UINT8", "FLOAT8E4M3FN", "FLOAT8E4M3FNUZ", "FLOAT8E5M2", "FLOAT8E5M2FNUZ"),
    16: ("INT16", "UINT16"),
}
KNOWN = dict(TensorProto.DataType.items())
NARROW = {KNOWN[name]: bits for bits, names in BITS.items() for name in names if name in KNOWN}
# Operators whose result is some of the numbers of their first operand.
KEEPERS = """
    Clip Concat DepthToSpace DequantizeLinear Dropout Expand Flatten Gather Identity MaxPool Pad
    Relu Reshape Slice SpaceToDepth Split Squeeze Tile Transpose Unsqueeze
    """
KEEPS_WIDTH = frozenset(KEEPERS.split())


@dataclass(frozen=True, kw_only=True)
class Value:
    """What is known of a value: shape, element type, its `array` where it depends on no input.

    `bits` is the width of the integers that it is, or that it was just before it was dequantised;
    None for floats and whatever else names no width of words.
    """

    shape: Shape
    type: int
    bits: int | None = None
    array: Array | None = None


@dataclass(frozen=True)
class Graph:
    """The nodes that depend on inputs, in order, and every value by name.

    `opset` is the version of the operators; `old` ones are respelt in its words.
    """

    where: str
    opset: int
    old: bool = False
    nodes: list[NodeProto] = field(default_factory=list)
    values: dict[str, Value] = field(default_factory=dict)

    def varying(self, node: NodeProto) -> tuple[str, ...]:
        """The values it reads that depend on inputs, each once, in order."""
        read = dict.fromkeys(name for name in node.input if name)
        return tuple(name for name in read if self.values[name].array is None)

    def refusal(self, node: NodeProto, reason: str) -> UnsupportedOperatorError:
        """The error that says which operator stands where, and why it cannot be simulated."""
        domain = f"{node.domain}." if node.domain else ""
        called = f"node {node.name!r}" if node.name else f"the node that makes {node.output[0]!r}"
        return UnsupportedOperatorError(
            f"{self.where}: {called}: operator {domain}{node.op_type}: {reason}"
        )


def attributes(node: NodeProto) -> dict[str, Any]:
    """A node's attributes by name."""
    return {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}


def value_of(kind: TypeProto) -> Value:
    """A value of a type whose dimensions are known."""
    tensor = kind.tensor_type
    shape = tuple(dim.dim_value for dim in tensor.shape.dim)
    return Value(shape=shape, type=tensor.elem_type, bits=NARROW.get(tensor.elem_type))


def constant(array: Array) -> Value:
    """A value that is known."""
    kind = onnx.helper.np_dtype_to_tensor_dtype(array.dtype)
    return Value(shape=array.shape, type=kind, bits=NARROW.get(kind), array=array)


def narrowed(graph: Graph, node: NodeProto, bits: int) -> int:
    """The width after the operator: that of the range which integers are clipped to, if any."""
    if node.op_type != "Clip" or graph.values[node.input[0]].type not in NARROW:
        return bits
    ends = [graph.values[name].array for name in node.input[1:] if name]
    if len(ends) < 2 or any(end is None for end in ends):
        return bits
    low, high = (int(end.item()) for end in ends if end is not None)
    return min(bits, max(high.bit_length(), (-low - 1).bit_length() if low < 0 else 0) + (low < 0))


def proto(value: Value) -> TypeProto:
    """A value's type as ONNX writes it."""
    return onnx.helper.make_tensor_type_proto(value.type, value.shape)
