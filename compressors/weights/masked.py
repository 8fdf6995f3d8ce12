"""Weights of which some are zero and stay so."""

import torch
from torch import Tensor, nn

from compressors.codes._code import Code, Elementwise
from compressors.codes._places import Places
from compressors.codes.sparse import Sparse
from compressors.weights._form import Wrapper, add_wrapper_, forms, straight_through
from hwsim.errors import InputError


class Masked(Wrapper):
    """Zero where `mask`, truth values of the weight's shape, is False.

    What `grid` is to the code see `compressors.codes.sparse`: places are a bit for each block, or,
    without one, the runs of zeros between elements. While it `revives`, gradients reach what is
    masked as if it were not, so that it can grow.
    """

    mask: Tensor

    def __init__(
        self,
        mask: Tensor,
        *,
        places: Places = "relative_index",
        index_bits: int = 4,
        grid: tuple[int, ...] | None = None,
    ) -> None:
        super().__init__()
        self.register_buffer("mask", mask)
        self.places, self.index_bits, self.grid = places, index_bits, grid
        self.revives = False

    def forward(self, weight: Tensor) -> Tensor:
        masked = torch.where(self.mask, weight, 0.0)
        return straight_through(masked, weight) if self.revives else masked

    def wrap(self, code: Code) -> Code:
        if not isinstance(code, Elementwise):
            raise InputError(f"masked weights: {code.kind} has no zeros that could be left out")
        places: Places = self.places if self.grid is None else "bitmap"
        return Sparse(self.mask, code, places=places, index_bits=self.index_bits, grid=self.grid)


def mask_(
    layer: nn.Module,
    mask: Tensor,
    tensor: str = "weight",
    *,
    grid: tuple[int, ...] | None = None,
) -> None:
    """Make a tensor zero where `mask` is False, beside what is zero already.

    `grid` says that zeros come in blocks; masks of different grids make one without.
    """
    found = masked_of(layer, tensor)
    if found is None:
        add_wrapper_(layer, Masked(mask, grid=grid), tensor)
        return
    found.mask = found.mask & mask
    found.grid = grid if found.grid == grid else None


def masked_of(layer: nn.Module, tensor: str = "weight") -> Masked | None:
    """A tensor's mask with all that goes with it; None where it has none."""
    found = [one for one in forms(layer, tensor) if isinstance(one, Masked)]
    return found[0] if found else None


def mask_of(layer: nn.Module, tensor: str = "weight") -> Tensor | None:
    """Where a tensor may be non-zero; None where it has no mask."""
    found = masked_of(layer, tensor)
    return None if found is None else found.mask


def unmasked(layer: nn.Module, tensor: str = "weight") -> Tensor:
    """What a tensor would be if its mask let all through, without a gradient."""
    found = masked_of(layer, tensor)
    if found is None:
        value: Tensor = getattr(layer, tensor)
        return value.detach()
    mask = found.mask
    found.mask = torch.ones_like(mask)
    value = getattr(layer, tensor).detach()
    found.mask = mask
    return value
