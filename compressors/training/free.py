"""Weights as free floats again, whatever form an earlier step gave them; its zeros stay."""

from torch import Tensor, nn

from compressors.weights._form import strip_
from compressors.weights.masked import mask_, masked_of


def free_(layer: nn.Module) -> None:
    """Let a layer's weights be any numbers; what an earlier step made zero stays zero."""
    found = masked_of(layer)
    strip_(layer)
    if found is not None:
        mask_(layer, found.mask, grid=found.grid)


def reopen_(layer: nn.Module, allowed: Tensor) -> None:
    """Let a layer's weights be any numbers where `allowed`; those that come back begin at zero."""
    strip_(layer)
    if not allowed.all():
        mask_(layer, allowed)
