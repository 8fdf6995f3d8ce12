"""What flows through layers on some images, and what each image says of each weight."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import vjp, vmap
from torch.nn import functional

from compressors._layers import weight_of

Factors = Callable[[Tensor], Iterator[Tensor]]


@contextmanager
def watched(layers: Sequence[nn.Module]) -> Iterator[list[list[tuple[Tensor, Tensor]]]]:
    """The ifmap and the ofmap of every call of each layer, while the context is open."""
    calls: list[list[tuple[Tensor, Tensor]]] = [[] for _ in layers]

    def hook(seen: list[tuple[Tensor, Tensor]]) -> Callable[..., Tensor]:
        def note(layer: nn.Module, inputs: tuple[Any, ...], ofmap: Tensor) -> Tensor:
            seen.append((inputs[0], ofmap))
            return ofmap.clone()  # what follows may work in place

        return note

    handles = [
        one.register_forward_hook(hook(seen)) for one, seen in zip(layers, calls, strict=True)
    ]
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()


def softmax_factors(logits: Tensor) -> Iterator[Tensor]:
    """Vectors [N, classes] whose outer products sum to the cross entropy's Hessian in the logits.

    diag(p) - p p^T is the sum over classes c of v v^T with v = sqrt(p_c) (e_c - p).
    """
    shares = logits.detach().softmax(1)
    for c in range(logits.shape[1]):
        unit = functional.one_hot(torch.tensor(c), logits.shape[1])
        yield shares[:, c, None].sqrt() * (unit - shares)


def squared_factors(outputs: Tensor) -> Iterator[Tensor]:
    """The same for half the squared error: the unit vectors."""
    for c in range(outputs.shape[1]):
        yield functional.one_hot(torch.tensor(c), outputs.shape[1]).expand_as(outputs)


def slopes(
    model: nn.Module, layers: Sequence[nn.Module], images: Tensor, factors: Factors
) -> Iterator[list[Tensor]]:
    """J^T v of each image for one factor v after the other: for each layer [N, *weight].

    The sum of their outer products over factors and images is N times the Gauss-Newton Hessian,
    which is the Hessian but for the curvature of the network itself.
    """
    with watched(layers) as calls:
        logits = model(images)
    ofmaps = [ofmap for seen in calls for _, ofmap in seen]
    for factor in factors(logits):
        found = iter(torch.autograd.grad((logits * factor).sum(), ofmaps, retain_graph=True))
        yield [
            sum((_by_image(layer, ifmap, next(found)) for ifmap, _ in seen), torch.zeros(()))
            for layer, seen in zip(layers, calls, strict=True)
        ]


def _by_image(layer: nn.Module, ifmap: Tensor, slope: Tensor) -> Tensor:
    """A layer's weight gradient for each image alone, [N, *weight], from that of its ofmap."""
    weight = weight_of(layer).detach()

    def one(image: Tensor, found: Tensor) -> Tensor:
        back = vjp(lambda w: _product(layer, image[None], w), weight)[1]
        gradient: Tensor = back(found[None])[0]
        return gradient

    gradients: Tensor = vmap(one)(ifmap.detach(), slope)
    return gradients


def _product(layer: nn.Module, ifmap: Tensor, weight: Tensor) -> Tensor:
    if isinstance(layer, nn.Conv1d | nn.Conv2d):
        ofmap: Tensor = layer._conv_forward(ifmap, weight, None)
        return ofmap
    return functional.linear(ifmap, weight)


def lowered(layer: nn.Module, ifmap: Tensor) -> Tensor:
    """What each output of a layer is a sum over: [N, G, inputs of a filter, places] (im2col)."""
    if isinstance(layer, nn.Linear):
        return ifmap.movedim(-1, 1).reshape(len(ifmap), 1, ifmap.shape[-1], -1)
    assert isinstance(layer, nn.Conv1d | nn.Conv2d)
    shape = weight_of(layer).shape[1:]
    picks = torch.eye(shape.numel()).reshape(-1, *shape)  # a filter for each place in a window
    columns = _product(layer, ifmap, picks.repeat(layer.groups, *[1] * len(shape)))
    return columns.reshape(len(ifmap), layer.groups, shape.numel(), -1)
