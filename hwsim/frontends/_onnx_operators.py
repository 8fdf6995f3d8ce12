"""What each ONNX operator is to the simulator: a view, or the layers that stand for it.

The rules are those of PyTorch's operators (`hwsim.frontends._aten`).

- Views: reshapes, permutations, slices and parts move no data: whoever wrote the words could have
  laid them in the order wanted, and whoever reads them can leave out what is not. Casts,
  quantisation and dequantisation are views too: bit-widths are the tensors'.
- Copies: gathers, repeats, padding and resizing move data; interpolation counts as a copy.
- Weightless layers: 4-D tensors are N x G x P x Q; of others the last axis is G and the rest N.
  Operands that broadcast are counted together, rounded to whole ofmaps.
"""

from functools import partial
from math import prod

from onnx import NodeProto

from hwsim.frontends import _onnx_products, _onnx_windows
from hwsim.frontends._onnx_call import Call, Lowering, Step
from hwsim.frontends._shapes import padded, pointwise_axes
from hwsim.workload import Layer, Op

KINDS = {
    "view": """
        Cast CastLike DepthToSpace DequantizeLinear Dropout DynamicQuantizeLinear Expand Flatten
        Identity QuantizeLinear Reshape Slice SpaceToDepth Split Squeeze Transpose Unsqueeze
        """,
    "activation": """
        Abs Acos Acosh Asin Asinh Atan Atanh BitwiseNot Ceil Celu Clip Cos Cosh Elu Equal Erf Exp
        Floor Gelu Greater GreaterOrEqual HardSigmoid HardSwish IsInf IsNaN LeakyRelu Less
        LessOrEqual Log Mish Neg Not PRelu Pow Reciprocal Relu Round Selu Shrink Sigmoid Sign Sin
        Sinh Softplus Softsign Sqrt Swish Tan Tanh ThresholdedRelu
        """,
    "add": "Add Max Mean Min Sub Sum",
    "multiply": "And BitShift BitwiseAnd BitwiseOr BitwiseXor Div Mod Mul Or Where Xor",
    "normalisation": """
        BatchNormalization GroupNormalization InstanceNormalization LRN LayerNormalization
        LpNormalization MeanVarianceNormalization RMSNormalization
        """,
    "softmax": "Hardmax LogSoftmax Softmax",
    "concat": "Concat",
    "copy": "Gather GatherElements GatherND Resize ReverseSequence Tile Trilu Upsample",
    "reduction": """
        ArgMax ArgMin ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin
        ReduceProd ReduceSum ReduceSumSquare
        """,
    "global pool": "GlobalAveragePool GlobalLpPool GlobalMaxPool",
    "pool": "AveragePool LpPool MaxPool",
    "recurrent": "GRU LSTM RNN",
}
KIND_OF = {name: kind for kind, listed in KINDS.items() for name in listed.split()}
# Operators that scale or shift each channel on its own where their other operand is constant.
AFFINE = frozenset({"Add", "BatchNormalization", "Div", "Mul", "Sub", "Sum"})


def pointwise(call: Call, op: Op, *, operands: int, reads: tuple[str, ...]) -> list[Step]:
    """One layer of the result's shape, without windows."""
    N, G, P, Q = pointwise_axes(call.made)
    layer = Layer(name=call.name, op=op, N=N, G=G, P=P, Q=Q, operands=operands)
    return [Step(layer=layer, reads=reads)]


def elementwise(op: Op, call: Call) -> list[Step]:
    """Reads every operand that varies; constants do not count."""
    words = sum(prod(call.graph.values[name].shape) for name in call.varying)
    operands = max(1, round(words / max(1, prod(call.made))))
    return pointwise(call, op, operands=operands, reads=call.varying)


def whole(op: Op, call: Call) -> list[Step]:
    """Reads as many words as it writes."""
    return pointwise(call, op, operands=1, reads=call.varying)


def first_only(op: Op, call: Call) -> list[Step]:
    """Reads its first operand; statistics and parameters do not count."""
    return pointwise(call, op, operands=1, reads=call.varying[:1])


def pad(call: Call) -> list[Step]:
    """A copy; where only rows and columns grow, it reads the tensor without its padding."""
    sizes, amounts = call.shape(0), call.numbers("pads", 1) or [0]
    rank = len(sizes)
    named = call.numbers("axes", 3) if "pads" not in call.attributes else None
    axes = [axis % rank for axis in named] if named else list(range(rank))
    leading = dict(zip(axes, amounts, strict=False))
    if rank != 4 or min(amounts) < 0 or sizes[:2] != call.made[:2]:
        return whole(Op.COPY, call)
    top, left = leading.get(2, 0), leading.get(3, 0)
    return [Step(layer=padded(call.name, sizes, call.made, top=top, left=left), reads=call.varying)]


BY_KIND: dict[str, Lowering] = {
    "activation": partial(elementwise, Op.ACTIVATION),
    "add": partial(elementwise, Op.ADD),
    "multiply": partial(elementwise, Op.MULTIPLY),
    "normalisation": partial(first_only, Op.NORMALISATION),
    "softmax": partial(first_only, Op.SOFTMAX),
    "concat": partial(whole, Op.CONCAT),
    "copy": partial(whole, Op.COPY),
    "reduction": _onnx_windows.reduction,
    "global pool": _onnx_windows.global_pool,
    "pool": _onnx_windows.pool,
    "recurrent": _onnx_products.recurrent,
}
BY_NAME: dict[str, Lowering] = {
    "Conv": _onnx_windows.convolution,
    "ConvTranspose": _onnx_windows.transposed,
    "Einsum": _onnx_products.einsum,
    "Gemm": _onnx_products.gemm,
    "MatMul": _onnx_products.matmul,
    "Pad": pad,
}


def is_view(node: NodeProto) -> bool:
    """Whether the operator moves no data."""
    return KIND_OF.get(node.op_type) == "view"


def lower(call: Call) -> list[Step]:
    """The layers that stand for a node. Raises UnsupportedOperatorError."""
    kind = call.node.op_type
    lowering = BY_NAME.get(kind) or BY_KIND.get(KIND_OF.get(kind, ""))
    if lowering is None or call.node.domain not in ("", "ai.onnx"):
        raise call.refusal("the simulator has no model of it")
    return lowering(call)
