"""What each operator of a traced network does to a fixed-point grid."""

import operator
from enum import Enum, auto

import torch
from torch import fx, nn
from torch.nn import functional

from compressors.fixed.fold import FOLDABLE, called_module, used_once
from hwsim.errors import UnsupportedOperatorError


class Role(Enum):
    """How an operator's result relates to the grid of its operand."""

    SOURCE = auto()  # the network's input
    WEIGHTED = auto()  # sums of products: needs rounding
    CLIPS = auto()  # ReLU, ReLU6: commutes with rounding, so it may come before
    KEEPS = auto()  # moves or selects values: stays on the grid
    JOINS = auto()  # concatenation: needs rounding where the grids differ
    ROUNDS = auto()  # sums, means, products and curves: computed in float64, then rounded
    SINK = auto()  # the network's output


CLIPS = {nn.ReLU, nn.ReLU6, nn.Hardtanh, functional.relu, functional.relu6, torch.relu, "relu"}

KEEPS = {
    *(nn.Identity, nn.Flatten, nn.Unflatten, nn.MaxPool1d, nn.MaxPool2d, nn.PixelShuffle),
    *(nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.ChannelShuffle),
    *(nn.ZeroPad2d, nn.ZeroPad3d),
    *(functional.max_pool2d, functional.dropout, functional.pixel_shuffle, operator.getitem),
    *(torch.flatten, torch.reshape, torch.permute, torch.transpose, torch.squeeze),
    *(torch.unsqueeze, torch.chunk, torch.split),
    *("flatten", "reshape", "view", "permute", "transpose", "squeeze", "unsqueeze"),
    *("chunk", "split", "contiguous"),
}

JOINS = {torch.cat, torch.concat}

ADDITIONS = {operator.add, operator.iadd, torch.add, "add", "add_"}
PRODUCTS = {operator.mul, operator.imul, torch.mul, "mul", "mul_"}
MEANS = {
    *(nn.AvgPool1d, nn.AvgPool2d, nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d),
    *(functional.avg_pool2d, functional.adaptive_avg_pool2d, torch.mean, "mean"),
}
CURVES = {
    *(nn.Sigmoid, nn.Tanh, nn.SiLU, nn.GELU, nn.Hardswish, nn.Hardsigmoid, nn.LeakyReLU, nn.ELU),
    *(nn.Softmax, nn.LocalResponseNorm, functional.sigmoid, torch.sigmoid, torch.tanh),
    *(functional.silu, functional.gelu, functional.hardswish, functional.hardsigmoid),
    *(functional.softmax, torch.softmax, "sigmoid", "tanh", "softmax"),
}

ROLES: dict[object, Role] = {
    **dict.fromkeys(FOLDABLE, Role.WEIGHTED),
    **dict.fromkeys(CLIPS, Role.CLIPS),
    **dict.fromkeys(KEEPS, Role.KEEPS),
    **dict.fromkeys(JOINS, Role.JOINS),
    **dict.fromkeys(ADDITIONS | PRODUCTS | MEANS | CURVES, Role.ROUNDS),
}


def operator_of(traced: fx.GraphModule, node: fx.Node) -> object:
    """What a node calls: a module's class, a function, or a method's name."""
    module = called_module(traced, node)
    return node.target if module is None else type(module)


def role(traced: fx.GraphModule, node: fx.Node) -> Role:
    """The role of a node that yields an activation. Raises UnsupportedOperatorError naming it."""
    if node.op in ("placeholder", "output"):
        return Role.SOURCE if node.op == "placeholder" else Role.SINK
    called = operator_of(traced, node)
    found = ROLES.get(called)
    reason = objection(called, traced, node) if found else "fixed point does not know it"
    if found is None or reason:
        shown = called if isinstance(called, str) else getattr(called, "__name__", called)
        raise UnsupportedOperatorError(f"layer {layer_name(node)!r}: operator {shown}: {reason}")
    return found


def objection(called: object, traced: fx.GraphModule, node: fx.Node) -> str:
    """Why this use of a known operator cannot be taken; empty where it can."""
    module = called_module(traced, node)
    if isinstance(module, FOLDABLE) and not used_once(traced, node):
        return "its weights serve two places"
    if getattr(module, "padding_mode", "zeros") != "zeros":
        return "only zero padding is exact"
    if isinstance(module, nn.Hardtanh) and not isinstance(module, nn.ReLU6):
        bounds = (module.min_val, module.max_val)
        return "" if all(float(b).is_integer() for b in bounds) else "bounds must be integers"
    if called in ADDITIONS | PRODUCTS:
        plain = len(node.all_input_nodes) == len(set(node.args)) and not node.kwargs
        tensors = all(isinstance(operand, fx.Node) for operand in node.args)
        return "" if plain and tensors else "operands must be two activations"
    return ""


def layer_name(node: fx.Node) -> str:
    """The module path a node calls, or the node's own name."""
    return str(node.target) if node.op == "call_module" else node.name
