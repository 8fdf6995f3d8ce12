"""A compressed network in operators that ONNX has: plain layers, and one operator that rounds."""

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx, nn

from compressors._onnx_rounding import Rounds, RoundsInput
from compressors.activations._quantiser import CHILD, input_quantiser
from compressors.activations.uniform import Uniform
from compressors.fixed.grid import Quantiser
from compressors.fixed.layers import FixedPointConv, FixedPointLayer
from compressors.weights._form import frozen

ROWS_AND_COLUMNS = (-2, -1)


def plain_copy(model: nn.Module) -> nn.Module:
    """The network with weights as float parameters, and rounding as the one operator.

    Sums of fixed-point codes are exact in float32 while they have at most 24 bits.
    """
    if isinstance(model, fx.GraphModule):
        return plain_graph(copy.deepcopy(model))
    bare = frozen(model).eval()
    for layer in bare.modules():
        quantiser = input_quantiser(layer)
        if isinstance(quantiser, Uniform):
            layer.add_module(CHILD, RoundsInput(quantiser))
    return bare


def plain_graph(model: fx.GraphModule) -> fx.GraphModule:
    """A fixed-point graph in float32, in place."""
    for node in list(model.graph.nodes):
        if node.op == "call_module":
            module = model.get_submodule(str(node.target))
            model.set_submodule(str(node.target), plain_module(module))
        elif (node.op, node.target) in (("call_method", "double"), ("call_method", "contiguous")):
            node.replace_all_uses_with(node.args[0])
            model.graph.erase_node(node)
        elif node.target in (torch.mean, "mean"):
            with model.graph.inserting_before(node):
                exact = model.graph.call_function(mean, node.args, node.kwargs)
            node.replace_all_uses_with(exact)
            model.graph.erase_node(node)
    model.recompile()
    return model


def plain_module(module: nn.Module) -> nn.Module:
    """The module that stands for one of a fixed-point graph."""
    if isinstance(module, Quantiser):
        return Rounds(module)
    if isinstance(module, FixedPointLayer):
        return float_layer(module)
    if isinstance(module, nn.AdaptiveAvgPool2d) and module.output_size in (1, (1, 1)):
        return Mean()
    return module


def float_layer(layer: FixedPointLayer) -> nn.Module:
    """A convolution or linear layer of the numbers that the codes stand for."""
    weight, bias = layer.weight.float(), layer.bias.float()
    found: nn.Module
    if isinstance(layer, FixedPointConv):
        kind: Callable[..., nn.Module] = nn.Conv2d if weight.ndim == 4 else nn.Conv1d
        settings: dict[str, Any] = {
            "stride": layer.stride,
            "padding": layer.padding,
            "dilation": layer.dilation,
            "groups": layer.groups,
        }
        channels = weight.shape[1] * layer.groups
        found = kind(channels, len(weight), tuple(weight.shape[2:]), **settings)
    else:
        found = nn.Linear(weight.shape[1], weight.shape[0])
    found.register_parameter("weight", nn.Parameter(weight.contiguous()))
    found.register_parameter("bias", nn.Parameter(bias))
    return found.eval()


def mean(values: Tensor, dim: Any, keepdim: bool = False) -> Tensor:
    """A sum and one division: runtimes may multiply by a rounded reciprocal in place of it."""
    sums = values.sum(dim, keepdim=keepdim)
    return sums / float(elements(values, dim))


def elements(values: Tensor, dim: Any) -> int:
    """Elements along some axes."""
    axes = [dim] if isinstance(dim, int) else list(dim)
    return int(torch.Size(values.shape[axis] for axis in axes).numel())


class Mean(nn.Module):
    """The mean over rows and columns, which stay as axes of one."""

    def forward(self, values: Tensor) -> Tensor:
        return mean(values, ROWS_AND_COLUMNS, keepdim=True)
