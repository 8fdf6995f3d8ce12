"""Matrix products: linear layers, batched products, attention.

A product with a parameter is a LINEAR layer. Of two activations the second plays the weight of a
MATMUL layer with one group per matrix of the batch.
"""

from math import prod

import numpy
from torch.fx import Node

from hwsim.frontends._call import Call, Shape, Step, shape
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


def as_matrices(left: Shape, right: Shape) -> tuple[Shape, Shape]:
    """Vectors as one row on the left, one column on the right."""
    return left if len(left) > 1 else (1, *left), right if len(right) > 1 else (*right, 1)


def matmul(first_key: str, second_key: str, call: Call) -> list[Step]:
    """Broadcasts as torch.matmul does; rows that share a right-hand matrix fold into N."""
    first, second = call.arguments[first_key], call.arguments[second_key]
    left, right = as_matrices(shape(first), shape(second))
    batches = prod(numpy.broadcast_shapes(left[:-2], right[:-2]))
    G = prod(left[:-2]) if first in call.constants else prod(right[:-2])
    shared = batches // G
    rows, columns = left[-2], right[-1]
    if first in call.constants:
        columns *= shared
    else:
        rows *= shared
    return product(call, first, second, {"G": G, "N": rows, "K": columns, "C": left[-1]})


def einsum(call: Call) -> list[Step]:
    """Products of two tensors in which each index is shared, kept or summed over both."""
    equation, tensors = call.arguments["equation"].replace(" ", ""), call.arguments["tensors"]
    inputs, _, output = equation.partition("->")
    left, _, right = inputs.partition(",")
    summed = set(left) & set(right) - set(output)
    plain = len(tensors) == 2 and "." not in equation and "->" in equation
    once = all(len(set(term)) == len(term) for term in (left, right, output))
    if not (plain and once and set(left) | set(right) == set(output) | summed):
        raise call.refusal(f"equation {equation!r} is no product of two tensors")
    size = dict(zip(left + right, shape(tensors[0]) + shape(tensors[1]), strict=True))
    letters = {
        "G": set(left) & set(right) & set(output),
        "N": set(left) - set(right),
        "K": set(right) - set(left),
        "C": summed,
    }
    sizes = {dim: prod(size[letter] for letter in found) for dim, found in letters.items()}
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
