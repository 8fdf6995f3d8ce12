"""Matrix products: linear layers, batched products, attention.

A product with a parameter is a LINEAR layer. Of two activations the second plays the weight of a
MATMUL layer with one group per matrix of the batch.
"""

from math import prod

from torch.fx import Node

from hwsim.frontends._call import Call, Step, shape
from hwsim.frontends._shapes import einsum_sizes, product_sizes
from hwsim.workload import Layer, Op


def product(call: Call, first: Node, second: Node, sizes: dict[str, int]) -> list[Step]:
    """G products of N x C by C x K; where only the first is constant, it plays the weight."""
    N, K = sizes["N"], sizes["K"]
    if first in call.constants:
        first, second, N, K = second, first, K, N
    op = Op.LINEAR if second in call.constants else Op.MATMUL
    layer = Layer(name=call.name, op=op, N=N, G=sizes["G"], K=K, C=sizes["C"])
    return [Step(layer, (first,), second, call.node)]


def linear(call: Call) -> list[Step]:
    """All leading axes of the input fold into N."""
    *leading, C = call.shape("input")
    K = call.shape("weight")[0] if len(call.shape("weight")) == 2 else 1
    sizes = {"G": 1, "N": prod(leading), "K": K, "C": C}
    return product(call, call.arguments["input"], call.arguments["weight"], sizes)


def matmul(first_key: str, second_key: str, call: Call) -> list[Step]:
    """Broadcasts as torch.matmul does; rows that share a right-hand matrix fold into N."""
    first, second = call.arguments[first_key], call.arguments[second_key]
    constant = first in call.constants
    sizes = product_sizes(shape(first), shape(second), left_is_weight=constant)
    return product(call, first, second, sizes)


def einsum(call: Call) -> list[Step]:
    """Products of two tensors in which each index is shared, kept or summed over both."""
    equation, tensors = call.arguments["equation"], call.arguments["tensors"]
    two = len(tensors) == 2
    sizes = einsum_sizes(equation, *map(shape, tensors)) if two else None
    if sizes is None:
        raise call.refusal(f"equation {equation!r} is no product of two tensors")
    return product(call, tensors[0], tensors[1], sizes)


def attention(call: Call) -> list[Step]:
    """Scores, softmax (mask and scale included) and context; a group per batch and key head."""
    query, key, value = (call.arguments[name] for name in ("query", "key", "value"))
    *batch, keys, width = shape(key)
    G = prod(batch)
    rows = prod(shape(query)) // (G * width)
    scores = Layer(name=f"{call.name}.scores", op=Op.MATMUL, N=rows, G=G, K=keys, C=width)
    weights = Layer(name=f"{call.name}.softmax", op=Op.SOFTMAX, N=G * rows, G=keys)
    context = Layer(
        name=f"{call.name}.context", op=Op.MATMUL, N=rows, G=G, K=shape(value)[-1], C=keys
    )
    return [
        Step(scores, (query,), key),
        Step(weights, (), after=(scores.name,)),
        Step(context, (), value, call.node, after=(weights.name,)),
    ]
