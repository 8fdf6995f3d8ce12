"""Blocks of a weight that share one scale: the layer, each filter, or groups of input channels."""

from math import prod
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

BlockScope = Literal["layer", "filter", "group"]


def block_shape(shape: torch.Size, scope: BlockScope, group: int) -> tuple[int, ...]:
    """Blocks along each axis of a weight [K, C, ...], as `spread` takes them.

    A "group" is at most `group` input channels of one filter at one place of its window.
    """
    if scope == "group":
        return (shape[0], -(-shape[1] // group), *shape[2:])
    return (1 if scope == "layer" else shape[0], *[1] * (len(shape) - 1))


def in_rows(values: Tensor, blocks: tuple[int, ...]) -> Tensor:
    """`values` as [blocks, elements], blocks in C order; one that is not full ends in zeros."""
    sizes = [-(-size // count) for size, count in zip(values.shape, blocks, strict=True)]
    pads = [count * size for count, size in zip(blocks, sizes, strict=True)]
    missing = [pad - have for pad, have in zip(pads, values.shape, strict=True)]
    if any(missing):
        values = functional.pad(values, [n for one in reversed(missing) for n in (0, one)])
    pairs = [n for pair in zip(blocks, sizes, strict=True) for n in pair]
    rank = len(blocks)
    order = [*range(0, 2 * rank, 2), *range(1, 2 * rank, 2)]
    return values.reshape(pairs).permute(order).reshape(prod(blocks), prod(sizes))
