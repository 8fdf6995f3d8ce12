"""Training whose backward pass is in low precision; forward passes are as they were.

While such a context lasts, the layers see their gradients through roundings. It is for training
alone: nothing of it stays on the network.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

Rounding = Callable[[Tensor], Tensor]
Inputs = tuple[Any, ...]


def exact(numbers: Tensor) -> Tensor:
    """No rounding."""
    return numbers


class _Rounded(torch.autograd.Function):
    """The identity, whose gradient is rounded."""

    @staticmethod
    def forward(ctx: Any, numbers: Tensor, rounding: Rounding) -> Tensor:
        ctx.rounding = rounding
        return numbers.view_as(numbers)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return ctx.rounding(gradients[0]), None


def rounded_gradient(numbers: Tensor, rounding: Rounding) -> Tensor:
    """The same numbers; their gradient goes on rounded."""
    found: Tensor = _Rounded.apply(numbers, rounding)  # type: ignore[no-untyped-call]  # torch
    return found


@contextmanager
def rounded_gradients(layers: Sequence[nn.Module], rounding: Rounding) -> Iterator[None]:
    """For a while, the gradients of the layers' ofmaps are rounded before the layers use them."""

    def hook(_: nn.Module, __: Inputs, ofmap: Tensor) -> Tensor:
        return rounded_gradient(ofmap, rounding)

    with hooked(layers, hook):
        yield


@contextmanager
def split_gradients(
    layers: Sequence[nn.Module],
    *,
    for_ifmap: Rounding = exact,
    for_weight: Rounding = exact,
    ifmap: Rounding = exact,
) -> Iterator[None]:
    """For a while, the two products of each layer's backward pass have operands of their own.

    `for_ifmap` rounds the ofmap's gradient g in W^T g, `for_weight` in g x^T, and `ifmap` the x
    there. The bias gets its gradient as the weights do. A step costs two forward passes more.
    """

    def hook(layer: nn.Module, inputs: Inputs, _: Tensor) -> Tensor:
        weight, bias = layer.weight, layer.bias  # once: a stochastic form draws each time
        assert isinstance(weight, Tensor)
        held = bias.detach() if isinstance(bias, Tensor) else None
        onwards = product(layer, inputs[0], weight.detach(), held)
        here = product(layer, ifmap(inputs[0].detach()), weight, bias)
        here = rounded_gradient(here, for_weight)
        return rounded_gradient(onwards, for_ifmap) + (here - here.detach())

    with hooked(layers, hook):
        yield


def product(layer: nn.Module, ifmap: Tensor, weight: Tensor, bias: Any) -> Tensor:
    """What the layer computes, with these weights."""
    if isinstance(layer, nn.Linear):
        return functional.linear(ifmap, weight, bias)
    assert isinstance(layer, nn.Conv1d | nn.Conv2d)
    # Torch's own way past a layer's hooks; it knows all modes of padding.
    found: Tensor = layer._conv_forward(ifmap, weight, bias)
    return found


@contextmanager
def hooked(
    layers: Sequence[nn.Module], hook: Callable[[nn.Module, Inputs, Tensor], Tensor]
) -> Iterator[None]:
    """For a while, `hook` replaces the layers' ofmaps in training."""

    def in_training(layer: nn.Module, inputs: Inputs, ofmap: Tensor) -> Tensor:
        return hook(layer, inputs, ofmap) if layer.training else ofmap

    handles = [layer.register_forward_hook(in_training, prepend=True) for layer in layers]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
