"""What every projector offers, and the blocks over which scales are shared."""

from abc import ABC, abstractmethod
from typing import Literal

import torch
from torch import Tensor

from compressors.codes._code import Code
from hwsim.config import Config

Scope = Literal["layer", "filter"]


class Projector(Config, ABC):
    """A set of codes, and the one of them nearest to a tensor.

    Frozen and JSON-able. `project(project(w).decode())` is `project(w)`, and the error falls as the
    set grows. One that is used straight-through while training computes with tensors alone, so
    that the network can be exported.
    """

    @abstractmethod
    def project(self, weight: Tensor) -> Code:
        """The nearest code to `weight`, float of any shape, as far as the method finds it."""


def power_scale(weight: Tensor, *, reach: float) -> Tensor:
    """The least power of two that, times `reach`, is no less than any magnitude; 1 of zeros.

    A tensor of the weight's rank, one element.
    """
    largest = weight.abs().max()
    power = torch.exp2(torch.ceil(torch.log2(largest / reach)))
    return torch.where(largest > 0, power, 1.0).reshape([1] * weight.ndim)


def rows(weight: Tensor, scope: Scope) -> Tensor:
    """`weight` as [blocks, elements]: one block for the layer, or one for each filter."""
    return weight.reshape(1 if scope == "layer" else len(weight), -1)


def scale_shape(weight: Tensor, scope: Scope) -> tuple[int, ...]:
    """The shape of one number for each block, of the weight's rank; see `spread`."""
    return (1 if scope == "layer" else len(weight), *[1] * (weight.ndim - 1))
