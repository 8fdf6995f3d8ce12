"""How much the loss curves along each weight: diagonals of a Hessian that is never negative.

- gauss_newton: of the Gauss-Newton matrix, exactly: E sum_c p_c (d log p_c / dw)^2.
- squared_gradients: of the empirical Fisher matrix, E (d loss / dw)^2, a class number of times
  cheaper; what Adam's second moment estimates (Choi et al., ICLR 2017, Sec. 3.3 and 3.5).
"""

import copy
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn import functional

from compressors._data import Data
from compressors._layers import weight_of
from compressors.weights._form import plain

Curvature = Literal["gauss_newton", "squared_gradients"]
CHUNK = 16  # images at a time; each has gradients of its own
Weights = dict[str, Tensor]


def curvature(
    model: nn.Module, layers: Sequence[str], data: Data, kind: Curvature
) -> dict[str, Tensor]:
    """The diagonal for each layer's weight, same shape, a mean over all images of `data`."""
    probe = plain(copy.deepcopy(model)).eval().requires_grad_(False)
    weights = {f"{path}.weight": weight_of(probe.get_submodule(path)) for path in layers}
    sums = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    labels = data.labels if data.labels is not None else torch.zeros(len(data.images)).long()
    for images, own in zip(
        torch.split(data.images, CHUNK), torch.split(labels, CHUNK), strict=True
    ):
        for squares in _squares(probe, weights, images, own, kind):
            for name, square in squares.items():
                sums[name] += square
    return {path: sums[f"{path}.weight"] / len(data.images) for path in layers}


def _squares(
    probe: nn.Module, weights: Weights, images: Tensor, labels: Tensor, kind: Curvature
) -> list[Weights]:
    """Sums over some images of squared gradients, one for each class that they are taken of."""

    def likelihood(chosen: Weights, image: Tensor, label: Tensor) -> Tensor:
        logits: Tensor = functional_call(probe, chosen, (image[None],))
        return functional.log_softmax(logits[0], 0).gather(0, label[None])[0]

    def summed(label: Tensor, share: Tensor) -> Weights:
        gradients: Weights = vmap(grad(likelihood), (None, 0, 0))(weights, images, label)
        return {n: torch.einsum("n...,n->...", g.square(), share) for n, g in gradients.items()}

    if kind == "squared_gradients":
        return [summed(labels, torch.ones(len(labels)))]
    with torch.no_grad():
        shares = functional.softmax(probe(images), 1).T
    return [summed(torch.full((len(images),), c), share) for c, share in enumerate(shares)]
