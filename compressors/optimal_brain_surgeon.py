"""Optimal Brain Surgeon: remove a weight and move all others so that the error rises least.

Hassibi and Stork, "Second Order Derivatives for Network Pruning: Optimal Brain Surgeon", NIPS 1992.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

import hwsim.config
from compressors._data import Data, Needs
from compressors._layers import WEIGHTED
from compressors.pruning.allocation import Allocation, Groups, Sparsity, kept
from compressors.pruning.inverse_hessian import delete, inverse_hessian
from compressors.pruning.probe import slopes, softmax_factors
from compressors.pruning.second_order import IMAGES_AT_ONCE
from compressors.pruning.targets import Target, targets
from compressors.training.free import free_
from compressors.weights._form import latent_of
from hwsim.errors import InputError

NEEDS, TAKES = Needs.IMAGES, WEIGHTED
MOST_WORDS = 2**28  # of one layer's inverse Hessian: 2 GiB


class Config(hwsim.config.Config):
    """`sparsity` of the weights go one by one, without training.

    The inverse Hessian, from the first `images`, is that of each filter by itself, or, with
    `block` "layer", of a whole layer as in the paper, which takes the square of its weights in
    memory. `alpha` is what the recursion starts from (the paper's 1e-8 to 1e-4).
    """

    sparsity: Sparsity = 0.5
    allocation: Allocation = "global"
    block: Literal["filter", "layer"] = "filter"
    images: int = Field(default=128, ge=1)
    alpha: float = Field(default=1e-4, gt=0, allow_inf_nan=False)


def compress(
    model: nn.Module, layers: Sequence[str], config: Config, data: Data | None
) -> nn.Module:
    """The network with other weights and masks in front of them."""
    assert data is not None
    found = targets(model, layers)
    weights = [_blocks(target, config) for target in found]
    inverses = _inverses(model, found, data.first(config.images).images, config)
    every = [torch.full((len(w),), w.shape[1]) for w in weights]
    costs = [delete(*each)[2] for each in zip(weights, inverses, every, strict=True)]
    stays = kept([_trace(c) for c in costs], config.sparsity, config.allocation)
    for target, w, inverse, left in zip(found, weights, inverses, stays, strict=True):
        moved, alive, _ = delete(w, inverse, (~left).reshape(w.shape).sum(1))
        free_(target.layer)
        shape = target.value.shape
        with torch.no_grad():
            latent_of(target.layer).copy_(moved.reshape(shape))
        target.cut_(alive.reshape(shape))
    return model


def _blocks(target: Target, config: Config) -> Tensor:
    """A layer's weights [blocks, n]. Raises InputError where their Hessian is too large."""
    weights = target.value.flatten(1) if config.block == "filter" else target.value.reshape(1, -1)
    words = weights.numel() * weights.shape[1]
    if words > MOST_WORDS:
        raise InputError(
            f"layer {target.path!r}: optimal_brain_surgeon: block = {config.block!r}: "
            f"its inverse Hessian has {words} words: at most {MOST_WORDS}"
        )
    return weights


def _inverses(
    model: nn.Module, found: list[Target], images: Tensor, config: Config
) -> list[Tensor]:
    """Each layer's inverse Hessian, [blocks, n, n]."""
    layers, rows = [target.layer for target in found], []
    for part in torch.split(images, IMAGES_AT_ONCE):
        rows += list(slopes(model, layers, part, softmax_factors))
    count = len(images)
    inverses = []
    for each in zip(*rows, strict=True):
        every = torch.cat(each)
        blocks = (
            every.flatten(2).transpose(0, 1) if config.block == "filter" else every.flatten(1)[None]
        )
        inverses.append(inverse_hessian(blocks, count=count, alpha=config.alpha))
    return inverses


def _trace(costs: Tensor) -> Groups:
    """Deletions as groups, each no cheaper than the ones it must follow."""
    reached = costs.cummax(1).values.flatten()
    ones = torch.ones_like(reached)
    return Groups(reached, ones, ones.bool(), deviation=1.0)
