"""An ONNX graph with the shape of every value, and all that is known before any input is.

One walk from top to bottom: what depends on no input, shapes and sizes among it, is computed by
ONNX's own reference implementation, the shape of everything else by its shape inference. So an
exporter's arithmetic on shapes leaves nothing behind, and data may not decide on shapes.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import replace

import onnx
from onnx import NodeProto, TypeProto, numpy_helper

from hwsim.errors import InputError
from hwsim.frontends._onnx_constants import evaluated, tensors
from hwsim.frontends._onnx_old import modern
from hwsim.frontends._onnx_values import (
    KEEPS_WIDTH,
    Array,
    Graph,
    Value,
    attributes,
    constant,
    narrowed,
    proto,
    value_of,
)

# Constants no larger than this tell shape inference what they hold: axes, sizes, repeats.
MOST_TELLING = 1024
INFERENCE_FAILURES = (
    onnx.checker.ValidationError,
    onnx.shape_inference.InferenceError,
    RuntimeError,
)


def walk(
    graph: Graph,
    nodes: Iterable[NodeProto],
    inputs: dict[str, TypeProto],
    constants: dict[str, Array],
) -> None:
    """Fill the graph in. Raises InputError, UnsupportedOperatorError."""
    for name, array in constants.items():
        graph.values[name] = constant(array)
    for name, kind in inputs.items():
        graph.values[name] = value_of(kind)
    pending = deque(nodes)
    while pending:
        node = pending.popleft()
        check_reads(graph, node)
        for each in modern(graph, node) if graph.old else [node]:
            pending.extendleft(reversed(read(graph, each)))


def read(graph: Graph, node: NodeProto) -> list[NodeProto]:
    """Notes what a node makes; the nodes to be read in its place, if it is a known branch."""
    if node.op_type == "If" and graph.values[node.input[0]].array is not None:
        return taken(graph, node)
    if known(graph, node):
        graph.values.update(evaluated(graph, node))
    else:
        graph.values.update(inferred(graph, node))
        graph.nodes.append(node)
    return []


def check_reads(graph: Graph, node: NodeProto) -> None:
    """Raises InputError where a node reads what nothing before it makes."""
    for name in node.input:
        if name and name not in graph.values:
            raise InputError(
                f"{graph.where}: is damaged: {node.op_type} {node.name!r} reads {name!r}, which "
                "nothing makes"
            )


def taken(graph: Graph, node: NodeProto) -> list[NodeProto]:
    """The branch that a known condition takes, its results under the names of the node's."""
    chosen = bool(graph.values[node.input[0]].array)
    branch = attributes(node)["then_branch" if chosen else "else_branch"]
    graph.values.update({name: constant(array) for name, array in tensors(branch).items()})
    results = zip(branch.output, node.output, strict=True)
    named = [onnx.helper.make_node("Identity", [a.name], [b]) for a, b in results]
    return [*branch.node, *named]


def known(graph: Graph, node: NodeProto) -> bool:
    """Whether its result depends on no input's data, only on shapes."""
    return node.op_type in ("Shape", "Size") or not graph.varying(node)


def inferred(graph: Graph, node: NodeProto) -> dict[str, Value]:
    """The shapes of what a node makes. Raises InputError, UnsupportedOperatorError."""
    said = types(graph, node)
    kinds = {name: kind for name, kind in said.items() if name and is_static(kind)}
    if node.output[0] not in kinds:
        raise graph.refusal(node, "the shape of its result depends on the data")
    found = {name: value_of(kind) for name, kind in kinds.items()}
    widths = [graph.values[name].bits for name in graph.varying(node)]
    if node.op_type in KEEPS_WIDTH and all(widths):
        bits = narrowed(graph, node, max(width for width in widths if width))
        found |= {name: replace(value, bits=bits) for name, value in found.items()}
    return found


def types(graph: Graph, node: NodeProto) -> dict[str, TypeProto]:
    """What shape inference says; where it knows nothing of an operator, shapes stay as they are."""
    try:
        schema = onnx.defs.get_schema(node.op_type, graph.opset, node.domain)
    except onnx.defs.SchemaError as fault:
        raise graph.refusal(node, "is no operator of ONNX") from fault
    if not schema.has_type_and_shape_inference_function:
        return dict.fromkeys(node.output[:1], proto(graph.values[node.input[0]]))
    read = {name: graph.values[name] for name in node.input if name}
    telling = {
        name: numpy_helper.from_array(value.array)
        for name, value in read.items()
        if value.array is not None and value.array.size <= MOST_TELLING
    }
    kinds = {name: proto(value) for name, value in read.items()}
    opsets = [onnx.helper.make_opsetid(node.domain, graph.opset)]
    try:
        return onnx.shape_inference.infer_node_outputs(
            schema, node, kinds, telling, opset_imports=opsets
        )
    except INFERENCE_FAILURES as fault:
        reason = " ".join(str(fault).split())
        raise graph.refusal(node, f"its operands do not fit: {reason}") from fault


def is_static(kind: TypeProto) -> bool:
    """Whether all sizes of a type are known."""
    tensor = kind.tensor_type
    return tensor.HasField("shape") and all(d.HasField("dim_value") for d in tensor.shape.dim)
