"""Weights of which some are zero and stay so."""

import torch
from torch import Tensor, nn

from compressors.codes._code import Code, Elementwise
from compressors.codes._places import Places
from compressors.codes.sparse import Sparse
from compressors.weights._form import Wrapper, add_wrapper_, forms
from hwsim.errors import InputError


class Masked(Wrapper):
    """Zero where `mask`, truth values of the weight's shape, is False."""

    mask: Tensor

    def __init__(
        self, mask: Tensor, *, places: Places = "relative_index", index_bits: int = 4
    ) -> None:
        super().__init__()
        self.register_buffer("mask", mask)
        self.places, self.index_bits = places, index_bits

    def forward(self, weight: Tensor) -> Tensor:
        return torch.where(self.mask, weight, 0.0)

    def wrap(self, code: Code) -> Code:
        if not isinstance(code, Elementwise):
            raise InputError(f"masked weights: {code.kind} has no zeros that could be left out")
        return Sparse(self.mask, code, places=self.places, index_bits=self.index_bits)


def mask_(layer: nn.Module, mask: Tensor, tensor: str = "weight") -> None:
    """Make a tensor zero where `mask` is False, beside what is zero already."""
    for found in forms(layer, tensor):
        if isinstance(found, Masked):
            found.mask &= mask
            return
    add_wrapper_(layer, Masked(mask), tensor)


def mask_of(layer: nn.Module, tensor: str = "weight") -> Tensor | None:
    """Where a tensor may be non-zero; None where it has no mask."""
    masks = [found.mask for found in forms(layer, tensor) if isinstance(found, Masked)]
    return masks[0] if masks else None
