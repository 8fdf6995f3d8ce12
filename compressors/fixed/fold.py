"""Batch normalisation at inference is a scale and a shift per channel: the layer before takes it.

A pure rewrite of a torch.fx graph. Jacob et al., "Quantization and Training of Neural Networks for
Efficient Integer-Arithmetic-Only Inference", arXiv:1712.05877, section 3.2.
"""

import copy
from typing import TypeAlias

import torch
from torch import Tensor, fx, nn
from torch.nn.modules.batchnorm import _BatchNorm as BatchNorm

from hwsim.errors import InputError

FOLDABLE = (nn.Conv1d, nn.Conv2d, nn.Linear)
Foldable: TypeAlias = nn.Conv1d | nn.Conv2d | nn.Linear


def trace(model: nn.Module) -> fx.GraphModule:
    """A float32 copy of the network as a graph, in evaluation mode. Raises InputError."""
    try:
        traced = fx.symbolic_trace(copy.deepcopy(model).eval().float())
    except fx.proxy.TraceError as fault:
        raise InputError(f"{type(model).__name__}: cannot be traced: {fault}") from fault
    placeholders = [node.name for node in traced.graph.nodes if node.op == "placeholder"]
    if len(placeholders) != 1:
        raise InputError(f"{type(model).__name__}: expected one input, found {placeholders}")
    if not any(isinstance(module, FOLDABLE) for module in traced.modules()):
        raise InputError(f"{type(model).__name__}: no convolution or linear layer to compress")
    return traced


def fold_batch_norms(traced: fx.GraphModule) -> fx.GraphModule:
    """The network with every batch-norm folded into the convolution or linear layer before it.

    `traced` is in evaluation mode and is left as it is. A batch-norm that follows anything else, or
    a layer whose output is used twice, becomes a 1x1 depthwise convolution under its own name.
    Raises InputError where a batch-norm keeps no running statistics.
    """
    folded = copy.deepcopy(traced)
    for node in list(folded.graph.nodes):
        norm = called_module(folded, node)
        if not isinstance(norm, BatchNorm):
            continue
        before = node.args[0]
        layer = called_module(folded, before)
        if isinstance(layer, FOLDABLE) and len(before.users) == 1 and used_once(folded, before):
            folded.set_submodule(before.target, folded_layer(layer, norm, name=node.target))
            node.replace_all_uses_with(before)
            folded.graph.erase_node(node)
        else:
            folded.set_submodule(node.target, as_convolution(norm, name=node.target))
    folded.delete_all_unused_submodules()
    folded.recompile()
    return folded


def called_module(traced: fx.GraphModule, node: fx.Node) -> nn.Module | None:
    """The module that a node calls; None where it calls a function or a method."""
    return traced.get_submodule(str(node.target)) if node.op == "call_module" else None


def used_once(traced: fx.GraphModule, node: fx.Node) -> bool:
    """Whether no other node calls the same module."""
    module = called_module(traced, node)
    return sum(called_module(traced, other) is module for other in traced.graph.nodes) == 1


def folded_layer(layer: Foldable, norm: BatchNorm, *, name: str) -> Foldable:
    """A copy of `layer` that computes `norm(layer(x))`."""
    scale, shift = scale_and_shift(norm, name=name)
    folded = copy.deepcopy(layer)
    weight = layer.weight.double() * scale.reshape(-1, *[1] * (layer.weight.ndim - 1))
    bias = shift if layer.bias is None else shift + scale * layer.bias.double()
    folded.weight = nn.Parameter(weight.detach().float())
    folded.bias = nn.Parameter(bias.detach().float())
    return folded


def scale_and_shift(norm: BatchNorm, *, name: str) -> tuple[Tensor, Tensor]:
    """What a batch-norm multiplies and then adds per channel, in float64."""
    if norm.running_mean is None or norm.running_var is None:
        raise InputError(f"layer {name!r}: a batch-norm without running statistics cannot fold")
    mean, variance = norm.running_mean.double(), norm.running_var.double()
    gain = torch.ones_like(mean) if norm.weight is None else norm.weight.double()
    offset = torch.zeros_like(mean) if norm.bias is None else norm.bias.double()
    scale = gain / torch.sqrt(variance + norm.eps)
    return scale, offset - mean * scale


def as_convolution(norm: BatchNorm, *, name: str) -> nn.Conv2d:
    """A 1x1 depthwise convolution equal to a batch-norm of images. Raises InputError."""
    if not isinstance(norm, nn.BatchNorm2d):
        raise InputError(f"layer {name!r}: {type(norm).__name__} follows no layer to fold into")
    scale, shift = scale_and_shift(norm, name=name)
    channels = len(scale)
    convolution = nn.Conv2d(channels, channels, 1, groups=channels)
    convolution.weight = nn.Parameter(scale.detach().float().reshape(-1, 1, 1, 1))
    convolution.bias = nn.Parameter(shift.detach().float())
    return convolution.eval()
