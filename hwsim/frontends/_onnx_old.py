"""Operators of ONNX's versions 1 to 6, in the words of version 7.

Version 7 broadcasts as numpy does and knows no modes of training; the attributes that said so are
gone. Onnx's own converter asks for shapes that files of that age do not hold.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from onnx import NodeProto

from hwsim.frontends._onnx_values import Array, Graph, attributes, constant

VERSION = 7
TWO_SIDED = "Add And Div Equal Greater Less Mul Or Pow Sub Xor"
BROADCAST = frozenset(TWO_SIDED.split())

Attributes = dict[str, Any]


def modern(graph: Graph, node: NodeProto) -> list[NodeProto]:
    """The node as version 7 spells it, after one that readies its second operand where need be; as
    it is where version 7 has no such operator."""
    if not onnx.defs.has(node.op_type, VERSION, node.domain):
        return [node]
    given, before = attributes(node), list[NodeProto]()
    found = NodeProto()
    found.CopyFrom(node)
    if node.op_type in RESPELT:
        RESPELT[node.op_type](graph, found, given)
    if axes := missing_axes(graph, node, given):
        widened = f"{node.input[1]}/{node.output[0]}"
        before = [onnx.helper.make_node("Unsqueeze", [node.input[1]], [widened], axes=axes)]
        found.input[1] = widened
    known = onnx.defs.get_schema(node.op_type, VERSION, node.domain).attributes
    kept = [onnx.helper.make_attribute(key, value) for key, value in given.items() if key in known]
    del found.attribute[:]
    found.attribute.extend(kept)
    return [*before, found]


def missing_axes(graph: Graph, node: NodeProto, given: Attributes) -> list[int]:
    """The axes of size 1 that the second operand lacks at its end to be broadcast as numpy does."""
    if node.op_type not in (*BROADCAST, "PRelu"):
        return []
    first, second = (len(graph.values[name].shape) for name in node.input)
    if node.op_type == "PRelu":  # a slope for each channel
        return list(range(1, first - 1)) if second == 1 and first > 1 else []
    if not given.get("broadcast") or "axis" not in given:
        return []
    axis = given["axis"] % first
    return list(range(second, first - axis))


def operand(graph: Graph, node: NodeProto, name: str, array: Array) -> None:
    """Gives the node a known operand more."""
    called = f"{node.output[0]}/{name}"
    graph.values[called] = constant(array)
    node.input.append(called)


def reshape(graph: Graph, node: NodeProto, given: Attributes) -> None:
    if "shape" in given:
        operand(graph, node, "shape", np.array(given.pop("shape"), np.int64))


def pad(graph: Graph, node: NodeProto, given: Attributes) -> None:
    if "paddings" in given:
        given["pads"] = given.pop("paddings")


def upsample(graph: Graph, node: NodeProto, given: Attributes) -> None:
    if "height_scale" in given:
        given["scales"] = [1.0, 1.0, given["height_scale"], given["width_scale"]]


def concat(graph: Graph, node: NodeProto, given: Attributes) -> None:
    given.setdefault("axis", 1)


def cast(graph: Graph, node: NodeProto, given: Attributes) -> None:
    if isinstance(given.get("to"), bytes):
        given["to"] = onnx.TensorProto.DataType.Value(given["to"].decode())


RESPELT: dict[str, Callable[[Graph, NodeProto, Attributes], None]] = {
    "Cast": cast,
    "Concat": concat,
    "Pad": pad,
    "Reshape": reshape,
    "Upsample": upsample,
}
