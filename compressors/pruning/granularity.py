"""What is removed at once: a weight, a vector of a kernel, a kernel, a filter, a block, ...

Mao et al., "Exploring the Regularity of Sparse Structure in Convolutional Neural Networks",
arXiv:1705.08922: 0-D to 3-D pruning differ in nothing but the group whose scores are summed.
A granularity is a grid over the weight tensor, as codes know it: see `compressors.codes._blocks`.
"""

from math import prod
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from compressors._layers import CONVOLUTIONS
from compressors.codes._blocks import block_numbers
from hwsim.config import Config

Grid = tuple[int, ...]
Unit = Literal["weight", "row", "column", "kernel", "filter", "channel", "shape", "block", "layer"]
Size = Annotated[int, Field(ge=1)]


class Granularity(Config):
    """Groups of a weight [K, C, R, S], or of one that lacks R or S, which then counts as 1.

    - weight: 0-D; row, column: the 1-D vectors of a kernel along S and along R;
    - kernel: R x S, 2-D; filter: C x R x S, 3-D;
    - channel: all that reads one input channel, K x R x S;
    - shape: the same place (c, r, s) of all filters, which is a column of the im2col matrix;
    - layer: all of it;
    - block: at most `block` filters x channels, whole kernels; equal blocks as far as it goes.

    Of a convolution in `groups`, the filters of each group read input channels of their own.
    """

    unit: Unit = "weight"
    block: tuple[Size, Size] = (64, 64)
    groups: Size = 1

    def of(self, layer: nn.Module) -> "Granularity":
        """The same for a layer's weight, in as many groups as it has."""
        groups = layer.groups if isinstance(layer, CONVOLUTIONS) else 1
        return self.model_copy(update={"groups": groups})

    def grid(self, shape: tuple[int, ...]) -> Grid:
        """Groups along each axis of a tensor of `shape`."""
        K, C, *window = shape
        match self.unit:
            case "weight":
                return shape
            case "row":
                return (*shape[:-1], 1) if window else shape
            case "column":
                return (K, C, 1, *window[1:]) if len(window) > 1 else shape
            case "shape":
                return (self.groups, *shape[1:])
            case "block":
                return (-(-K // self.block[0]), -(-C // self.block[1]), *[1] * len(window))
            case "kernel":
                return (K, C, *[1] * len(window))
            case "filter":
                return (K, *[1] * len(shape[1:]))
            case "channel":
                return (self.groups, C, *[1] * len(window))
            case "layer":
                return (1,) * len(shape)

    def stored_grid(self, shape: tuple[int, ...]) -> Grid | None:
        """The grid for a code; None where groups are single weights."""
        grid = self.grid(shape)
        return None if grid == shape else grid

    def sums(self, scores: Tensor) -> Tensor:
        """The sum of each group's scores, float64 of one axis, in C order of the grid."""
        grid = self.grid(tuple(scores.shape))
        numbers = block_numbers(grid, tuple(scores.shape)).flatten()
        sums = torch.zeros(prod(grid), dtype=torch.float64)
        return sums.index_add_(0, numbers, scores.double().flatten())

    def spread(self, groups: Tensor, shape: tuple[int, ...]) -> Tensor:
        """What is known of each group, [groups], told to each of its weights: of `shape`."""
        return groups[block_numbers(self.grid(shape), shape)]
