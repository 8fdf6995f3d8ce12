"""The zeros of the weights that a program carries."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.export import ExportedProgram
from torch.fx import Node
from torch.fx.node import map_arg

from hwsim.frontends._call import Step, arguments, operator
from hwsim.frontends._trace import Trace
from hwsim.workload import Layer, Network, Zeros

# Operators whose weights hold their elements in the order of the layer's, and in that of rows for
# columns; of others the share of zeros alone is known.
IN_ORDER = frozenset({"conv1d", "conv2d", "convolution", "linear"})
TURNED = frozenset({"mm", "addmm", "matmul"})


def with_weights(found: Trace) -> Network:
    """The network with the zeros of its weights, where these are known and some are zero."""
    value = values(found.program)
    layers = {
        step.layer.name: weighed(step, value(step.weight))
        for step in found.steps
        if step.layer.weighted and step.weight in found.constants
    }
    return found.network.with_layers(layers)


def values(program: ExportedProgram) -> Callable[[Node | None], Tensor]:
    """What nodes that depend on no input come to."""
    names = program.graph_signature.inputs_to_parameters | program.graph_signature.inputs_to_buffers
    names |= program.graph_signature.inputs_to_lifted_tensor_constants
    held = {**program.constants, **program.state_dict}

    @cache
    def value(node: Any) -> Any:
        if node.op == "placeholder":
            return held[names[node.name]]
        given, options = map_arg((node.args, node.kwargs), value)
        with torch.no_grad():
            return node.target(*given, **options)

    return value


def weighed(step: Step, weight: Tensor) -> Layer:
    """A layer with the zeros of its weights, or with the share of them."""
    layer = step.layer
    nonzero = int(torch.count_nonzero(weight)) if not weight.is_meta else weight.numel()
    if nonzero == weight.numel():
        return layer
    ordered, sizes = in_order(step, weight), layer.shape("weight")
    if ordered is None or ordered.numel() != prod(sizes):
        known = replace(layer.weight, density=nonzero / weight.numel())
    else:
        known = replace(layer.weight, zeros=Zeros.of((ordered != 0).reshape(sizes).cpu().numpy()))
    return replace(layer, weight=known)


def in_order(step: Step, weight: Tensor) -> Tensor | None:
    """The weights as the layer has them, filter by filter."""
    node = step.ofmap
    kind = operator(node) if node else ""
    if node and kind in IN_ORDER and not arguments(node).get("transposed"):
        return weight
    return weight.T if kind in TURNED and weight.ndim == 2 else None
