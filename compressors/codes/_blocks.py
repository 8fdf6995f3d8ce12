"""One number for each block of a tensor: a scale for all, for each filter, or for finer groups."""

from math import prod

import torch
from torch import Tensor


def spread(numbers: Tensor, shape: tuple[int, ...]) -> Tensor:
    """`numbers`, of the rank of `shape`, each repeated over its block, as a tensor of `shape`.

    An axis of n numbers cuts one of m elements into blocks of ceil(m / n), the last maybe less.
    """
    for axis, (count, size) in enumerate(zip(numbers.shape, shape, strict=True)):
        if count != 1:
            numbers = numbers.repeat_interleave(-(-size // count), dim=axis).narrow(axis, 0, size)
    return numbers.expand(shape)


def block_numbers(grid: tuple[int, ...], shape: tuple[int, ...]) -> Tensor:
    """The number of each element's block, int64 of `shape`; blocks count in C order of `grid`."""
    return spread(torch.arange(prod(grid)).reshape(grid), shape)
