"""What each ATen operator is to the simulator: a view, or the layers that stand for it.

Operators are those of plain `torch.export` at inference, and the core ones that most of them can be
decomposed to; in-place variants count as the plain ones.

- Views: reshapes, permutations, slices, and their copies to contiguous memory, move no data.
  Whoever wrote the words could have laid them in the order wanted, and whoever reads them can
  leave out what is not. Casts and fake quantisation are views too: bit-widths are the tensors'.
- Copies: gathers, repeats and padding move data.
- Weightless layers: 4-D tensors are N x G x P x Q; of others the last axis is G and the rest N.
  Operands that broadcast are counted together, rounded to whole ofmaps.
"""

from functools import partial
from math import prod

from torch.fx import Node

from hwsim.frontends import _products, _windows
from hwsim.frontends._call import Call, Lowering, Step, arguments, is_static, operator, shape
from hwsim.frontends._shapes import padded, pointwise_axes
from hwsim.workload import Layer, Op

# Operators by what they become; "view" moves no data, "dropout" none at inference.
KINDS = {
    "view": """
        alias as_strided channel_shuffle chunk clone contiguous detach diagonal expand expand_as
        fake_quantize_per_channel_affine fake_quantize_per_tensor_affine flatten lift_fresh
        lift_fresh_copy movedim narrow numpy_T permute pixel_shuffle pixel_unshuffle positive
        reshape reshape_as select slice split split_with_sizes squeeze swapaxes t tensor_split to
        transpose type_as unbind unflatten unfold unsqueeze view view_as
        _assert_tensor_metadata _to_copy _unsafe_view
        """,
    "dropout": "alpha_dropout dropout feature_alpha_dropout feature_dropout",
    "activation": """
        abs bitwise_not ceil celu clamp clamp_max clamp_min cos elu eq erf exp floor ge gelu glu
        gt hardshrink hardsigmoid hardswish hardtanh isnan le leaky_relu log log1p log_sigmoid
        logical_not lt mish ne neg pow prelu reciprocal relu relu6 round rsqrt selu sigmoid sign
        silu sin softplus softshrink sqrt square tanh threshold
        """,
    "add": "add maximum minimum rsub sub",
    "multiply": "bitwise_and bitwise_or div logical_and logical_or masked_fill mul where",
    "normalisation": """
        batch_norm group_norm instance_norm layer_norm native_group_norm native_layer_norm rms_norm
        _native_batch_norm_legit_no_training
        """,
    "softmax": "log_softmax softmax _log_softmax _softmax",
    "concat": "cat concat concatenate hstack stack vstack",
    "copy": """
        embedding flip gather im2col index index_select repeat repeat_interleave roll tile tril
        triu upsample_bicubic2d upsample_bilinear2d upsample_linear1d upsample_nearest1d
        upsample_nearest2d _upsample_bicubic2d_aa _upsample_bilinear2d_aa
        """,
    "reduction": """
        amax amin argmax argmin linalg_vector_norm logsumexp max mean min norm prod std sum var
        """,
}
KIND_OF = {name: kind for kind, listed in KINDS.items() for name in listed.split()}


def pointwise(call: Call, *, op: Op, operands: int, ifmaps: tuple[Node, ...]) -> list[Step]:
    """One layer of the output's shape, without windows."""
    N, G, P, Q = pointwise_axes(shape(call.node))
    layer = Layer(name=call.name, op=op, N=N, G=G, P=P, Q=Q, operands=operands)
    return [Step(layer, ifmaps, ofmap=call.node)]


def stored_words(node: Node) -> int:
    """Words of a tensor in memory: expanding it repeats none."""
    while operator(node) in {"expand", "expand_as"}:
        node = arguments(node)["self"]
    return prod(shape(node))


def elementwise(op: Op, call: Call) -> list[Step]:
    """Reads every operand that varies; scalars, parameters and buffers do not count."""
    words = sum(stored_words(node) for node in call.varying)
    operands = max(1, round(words / max(1, prod(shape(call.node)))))
    return pointwise(call, op=op, operands=operands, ifmaps=call.varying)


def whole(op: Op, call: Call) -> list[Step]:
    """Reads as many words as it writes."""
    return pointwise(call, op=op, operands=1, ifmaps=call.varying)


def first_only(op: Op, call: Call) -> list[Step]:
    """Reads its first operand; statistics and parameters do not count."""
    return pointwise(call, op=op, operands=1, ifmaps=call.varying[:1])


def pad(call: Call) -> list[Step]:
    """A copy; where only rows and columns grow, it reads the tensor without its padding."""
    sizes, amounts = call.shape("self"), call.arguments["pad"]
    if len(sizes) != 4 or len(amounts) > 4 or min(amounts) < 0:
        return whole(Op.COPY, call)
    left, _, top, _ = (*amounts, 0, 0)[:4]
    layer = padded(call.name, sizes, shape(call.node), top=top, left=left)
    return [Step(layer, call.varying, ofmap=call.node)]


def reduction(call: Call) -> list[Step]:
    """Over axes; the larger or smaller of two tensors is element-wise."""
    if call.arguments.get("other") is not None:
        return elementwise(Op.ADD, call)
    return _windows.reduction(call)


BY_KIND: dict[str, Lowering] = {
    "dropout": partial(elementwise, Op.MULTIPLY),
    "activation": partial(elementwise, Op.ACTIVATION),
    "add": partial(elementwise, Op.ADD),
    "multiply": partial(elementwise, Op.MULTIPLY),
    "normalisation": partial(first_only, Op.NORMALISATION),
    "softmax": partial(first_only, Op.SOFTMAX),
    "concat": partial(whole, Op.CONCAT),
    "copy": partial(whole, Op.COPY),
    "reduction": reduction,
}
BY_NAME: dict[str, Lowering] = {
    "pad": pad,
    "constant_pad_nd": pad,
    "convolution": _windows.any_convolution,
    "max_pool2d_with_indices": partial(_windows.pool, 2),
    "_adaptive_avg_pool2d": partial(_windows.adaptive_pool, 2),
    "conv1d": partial(_windows.convolution, 1),
    "conv2d": partial(_windows.convolution, 2),
    "conv_transpose1d": partial(_windows.transposed, 1),
    "conv_transpose2d": partial(_windows.transposed, 2),
    "max_pool1d": partial(_windows.pool, 1),
    "max_pool2d": partial(_windows.pool, 2),
    "avg_pool1d": partial(_windows.pool, 1),
    "avg_pool2d": partial(_windows.pool, 2),
    "avg_pool3d": _windows.channel_pool,
    "adaptive_avg_pool1d": partial(_windows.adaptive_pool, 1),
    "adaptive_avg_pool2d": partial(_windows.adaptive_pool, 2),
    "adaptive_max_pool1d": partial(_windows.adaptive_pool, 1),
    "adaptive_max_pool2d": partial(_windows.adaptive_pool, 2),
    "linear": _products.linear,
    "matmul": partial(_products.matmul, "self", "other"),
    "mm": partial(_products.matmul, "self", "mat2"),
    "mv": partial(_products.matmul, "self", "vec"),
    "bmm": partial(_products.matmul, "self", "mat2"),
    "addmm": partial(_products.matmul, "mat1", "mat2"),
    "baddbmm": partial(_products.matmul, "batch1", "batch2"),
    "einsum": _products.einsum,
    "scaled_dot_product_attention": _products.attention,
}
# Which argument holds the weights where it is a parameter.
WEIGHT_ARGUMENTS = {
    "convolution": "weight",
    "conv1d": "weight",
    "conv2d": "weight",
    "conv_transpose1d": "weight",
    "conv_transpose2d": "weight",
    "linear": "weight",
    "matmul": "other",
    "mm": "mat2",
    "addmm": "mat2",
}
# What they make depends on the shape of their operand alone.
FILLED = frozenset({"full_like", "new_full", "new_ones", "new_zeros", "ones_like", "zeros_like"})
BATCH_NORMS = frozenset({"batch_norm", "_native_batch_norm_legit_no_training"})
LABELS = {"scaled_dot_product_attention": "attention"}


def label(node: Node) -> str:
    """The operator's name as it shows in the names of layers."""
    return LABELS.get(operator(node), operator(node)) or getattr(node.target, "__name__", node.name)


def weight_of(node: Node) -> Node | None:
    """The argument of a convolution or product that would hold its weights."""
    key = WEIGHT_ARGUMENTS.get(operator(node))
    return arguments(node)[key] if key else None


def is_view(node: Node) -> bool:
    """Whether the operator moves no data."""
    kind = KIND_OF.get(operator(node))
    return kind == "view" or (kind == "dropout" and not arguments(node)["train"])


def lower(call: Call) -> list[Step]:
    """The layers that stand for a call. Raises UnsupportedOperatorError."""
    name = operator(call.node)
    lowering = BY_NAME.get(name) or BY_KIND.get(KIND_OF.get(name, ""))
    if lowering is None:
        raise call.refusal("the simulator has no model of it")
    if not is_static(call.node):
        raise call.refusal("the shape of its result depends on the data")
    return lowering(call)
