"""Operators on integers written as operators on the numbers that these stand for.

`QLinearConv` and its like, and `ConvInteger`, become what a QDQ model has in their place: the
operands dequantised, the plain operator, its result quantised. So there is one way to read both.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import NodeProto

from hwsim.frontends._onnx_values import Array

ONE = "hwsim.one"


@dataclass(frozen=True, kw_only=True)
class Plain:
    """The plain operator; where each operand and its scale and zero point stand, None for no scale.

    `result` is where the scale of the result stands, if any; `weight` the operand that may have a
    scale for each filter, which are along `axis`.
    """

    operator: str
    operands: tuple[tuple[int, int | None, int], ...]
    result: int | None = None
    weight: int = 1
    axis: int = 0


TWO = ((0, 1, 2), (3, 4, 5))
ONLY = ((0, 1, 2),)
MICROSOFT = "com.microsoft"
PLAIN = {
    ("", "QLinearConv"): Plain(operator="Conv", operands=TWO, result=6),
    ("", "QLinearMatMul"): Plain(operator="MatMul", operands=TWO, result=6, axis=-1),
    ("", "ConvInteger"): Plain(operator="Conv", operands=((0, None, 2), (1, None, 3))),
    ("", "MatMulInteger"): Plain(operator="MatMul", operands=((0, None, 2), (1, None, 3)), axis=-1),
    (MICROSOFT, "QGemm"): Plain(operator="Gemm", operands=TWO, result=7, axis=-1),
    (MICROSOFT, "QLinearAdd"): Plain(operator="Add", operands=TWO, result=6),
    (MICROSOFT, "QLinearMul"): Plain(operator="Mul", operands=TWO, result=6),
    (MICROSOFT, "QLinearSigmoid"): Plain(operator="Sigmoid", operands=ONLY, result=3),
    (MICROSOFT, "QLinearLeakyRelu"): Plain(operator="LeakyRelu", operands=ONLY, result=3),
    (MICROSOFT, "QLinearSoftmax"): Plain(operator="Softmax", operands=ONLY, result=3),
    (MICROSOFT, "QLinearAveragePool"): Plain(operator="AveragePool", operands=ONLY, result=3),
    (MICROSOFT, "QLinearGlobalAveragePool"): Plain(
        operator="GlobalAveragePool", operands=ONLY, result=3
    ),
    (MICROSOFT, "QuantizeLinear"): Plain(operator="QuantizeLinear", operands=()),
    (MICROSOFT, "DequantizeLinear"): Plain(operator="DequantizeLinear", operands=()),
}
FOREIGN = frozenset({"opset", "channels_last"})  # attributes of the operators that are not ONNX's


def plain_nodes(nodes: Iterable[NodeProto]) -> Iterator[NodeProto]:
    """The nodes, those on integers rewritten; the plain node keeps the name."""
    for node in nodes:
        domain = "" if node.domain == "ai.onnx" else node.domain
        plain = PLAIN.get((domain, node.op_type))
        if plain is None:
            yield node
        elif not plain.operands:
            yield renamed(node, plain.operator, list(node.input), list(node.output))
        else:
            yield from rewritten(node, plain)


def constants() -> dict[str, Array]:
    """What rewritten nodes read beside their own inputs."""
    return {ONE: np.ones((), np.float32)}


def rewritten(node: NodeProto, plain: Plain) -> Iterator[NodeProto]:
    """The three steps in place of one."""
    reads = []
    turned = any(one.name == "transB" and one.i for one in node.attribute)
    for at, places in enumerate(plain.operands):
        filters = 0 if turned else plain.axis
        axis = filters if at == plain.weight else 1
        yield linear("DequantizeLinear", node, f"operand{at}", places, axis=axis)
        reads.append(f"{node.output[0]}.operand{at}")
    if plain.result is None:
        yield renamed(node, plain.operator, reads, list(node.output))
        return
    real = f"{node.output[0]}.real"
    yield renamed(node, plain.operator, reads, [real])
    scale, zero = (read(node, plain.result + step) for step in range(2))
    yield onnx.helper.make_node("QuantizeLinear", [real, scale, zero], list(node.output))


def linear(
    operator: str, node: NodeProto, name: str, places: tuple[int, int | None, int], *, axis: int
) -> NodeProto:
    """An operand as the numbers that it stands for."""
    operand, scale, zero = places
    inputs = [node.input[operand], ONE if scale is None else node.input[scale], read(node, zero)]
    return onnx.helper.make_node(operator, inputs, [f"{node.output[0]}.{name}"], axis=axis)


def renamed(node: NodeProto, operator: str, reads: list[str], makes: list[str]) -> NodeProto:
    """The plain operator with the node's name and attributes."""
    found = onnx.helper.make_node(operator, reads, makes, name=node.name)
    found.attribute.extend(one for one in node.attribute if one.name not in FOREIGN)
    found.metadata_props.extend(node.metadata_props)
    return found


def read(node: NodeProto, place: int) -> str:
    """An input's name; empty where it is left out."""
    return node.input[place] if place < len(node.input) else ""
