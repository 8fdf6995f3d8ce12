"""ONNX operators that multiply matrices: products of all kinds, and recurrent cells."""

from hwsim.frontends._onnx_call import Call, Step
from hwsim.frontends._onnx_values import Array
from hwsim.frontends._shapes import einsum_sizes, product_sizes
from hwsim.workload import Layer, Op

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
MOST_STEPS = 4096


def product(call: Call, sizes: dict[str, int], weights: Array | None) -> list[Step]:
    """G products of N x C by C x K; where only the first is constant, it plays the weight.

    `weights` is the constant one, its filters first.
    """
    first, second = call.node.input[:2]
    N, K = sizes["N"], sizes["K"]
    if call.graph.values[first].array is not None:
        first, second, N, K = second, first, K, N
    op = Op.MATMUL if weights is None else Op.LINEAR
    layer = Layer(name=call.name, op=op, N=N, G=sizes["G"], K=K, C=sizes["C"])
    held = None if weights is None else weights.reshape(layer.shape("weight"))
    return [Step(layer=layer, reads=(first,), weight=second, weights=held)]


def matmul(call: Call) -> list[Step]:
    """Broadcasts as numpy's; rows that share a right-hand matrix fold into N."""
    left, right = call.operand(0), call.operand(1)
    assert left is not None
    assert right is not None
    constant = left.array is not None
    sizes = product_sizes(left.shape, right.shape, left_is_weight=constant)
    if constant:
        return product(call, sizes, left.array)
    columns = right.array
    if columns is not None and columns.ndim > 1:
        columns = columns.swapaxes(-1, -2)
    return product(call, sizes, columns)


def gemm(call: Call) -> list[Step]:
    """One product of two matrices, either of them transposed; the sum beside it is a bias."""
    left, right = call.operand(0), call.operand(1)
    assert left is not None
    assert right is not None
    turned = [bool(call.attributes.get(key, 0)) for key in ("transA", "transB")]
    rows, inner = left.shape[::-1] if turned[0] else left.shape
    columns = right.shape[0] if turned[1] else right.shape[1]
    sizes = {"G": 1, "N": rows, "K": columns, "C": inner}
    if left.array is not None:
        return product(call, sizes, left.array.T if turned[0] else left.array)
    weights = right.array
    return product(call, sizes, weights if weights is None or turned[1] else weights.T)


def einsum(call: Call) -> list[Step]:
    """Products of two tensors in which each index is shared, kept or summed over both."""
    equation = call.attributes["equation"].decode()
    operands = [call.shape(place) for place in range(len(call.node.input))]
    sizes = einsum_sizes(equation, *operands) if len(operands) == 2 else None
    if sizes is None:
        raise call.refusal(f"equation {equation!r} is no product of two tensors")
    constants = [call.graph.values[name].array for name in call.node.input]
    known = next((array for array in constants if array is not None), None)
    steps = product(call, sizes, known)
    # Which axes are filters depends on the equation: the share of zeros is all that is kept.
    return [Step(layer=one.layer, reads=one.reads, weight=one.weight) for one in steps]


def recurrent(call: Call) -> list[Step]:
    """A recurrent layer: one product of all inputs, and for each step one of the state alone.

    The steps wait for one another, so each is a layer of its own and reads the weights again, as
    every layer does.
    """
    first = call.attributes.get("layout", 0)
    sizes = call.shape(0)
    length, batch = (sizes[1], sizes[0]) if first else (sizes[0], sizes[1])
    directions = call.shape(1)[0]
    if length * directions > MOST_STEPS:
        raise call.refusal(f"{length * directions} steps: at most {MOST_STEPS}")
    return [
        step
        for direction in range(directions)
        for step in unrolled(call, direction, length=length, batch=batch)
    ]


def unrolled(call: Call, direction: int, *, length: int, batch: int) -> list[Step]:
    """One direction of a recurrent layer: W [D, gates H, C], R [D, gates H, H]."""
    gates = GATES[call.node.op_type]
    _, rows, inner = call.shape(1)
    path = f"{call.name}.{'reverse_' if direction else ''}"
    whole, state = (own_filters(call, place, direction) for place in (1, 2))
    source, taken, kept = call.node.input[:3]
    ifmap = Layer(name=f"{path}input", op=Op.LINEAR, N=length * batch, K=rows, C=inner)
    steps = [fed(ifmap, taken, whole, reads=(source,))]
    for at in range(length):
        hidden = Layer(name=f"{path}step{at}", op=Op.LINEAR, N=batch, K=rows, C=rows // gates)
        before = steps[-1].layer.name if at else ifmap.name
        steps.append(fed(hidden, kept, state, after=(before,)))
        cell = Layer(
            name=f"{path}cell{at}", op=Op.ACTIVATION, N=batch, G=rows // gates, operands=gates
        )
        both = (ifmap.name, hidden.name)
        steps.append(Step(layer=cell, after=both, last=at == length - 1))
    return steps


def fed(
    layer: Layer,
    weight: str,
    weights: Array | None,
    *,
    reads: tuple[str, ...] = (),
    after: tuple[str, ...] = (),
) -> Step:
    """A product inside a recurrent layer."""
    held = None if weights is None else weights.reshape(layer.shape("weight"))
    return Step(layer=layer, reads=reads, weight=weight, weights=held, after=after, last=False)


def own_filters(call: Call, place: int, direction: int) -> Array | None:
    """One direction's weights."""
    found = call.operand(place)
    return None if found is None or found.array is None else found.array[direction]
