"""The tensors that a pruner cuts: every weight tensor of the layers it was given."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from compressors._layers import weight_names
from compressors.pruning.granularity import Grid
from compressors.weights.masked import mask_, mask_of


@dataclass(frozen=True, eq=False)
class Target:
    """A tensor of a layer, under the layer's path."""

    path: str
    layer: nn.Module
    tensor: str = "weight"

    @property
    def value(self) -> Tensor:
        """The tensor as it is, zeros included, without a gradient."""
        found: Tensor = getattr(self.layer, self.tensor)
        return found.detach()

    @property
    def alive(self) -> Tensor:
        """Where it may be non-zero: truth values of its shape."""
        found = mask_of(self.layer, self.tensor)
        return torch.ones_like(self.value, dtype=torch.bool) if found is None else found

    def cut_(self, mask: Tensor, grid: Grid | None = None) -> None:
        """Make it zero where `mask` is False, for good."""
        mask_(self.layer, mask, self.tensor, grid=grid)


def targets(model: nn.Module, layers: Iterable[str]) -> list[Target]:
    """The weights of the layers at these paths, all tensors of each."""
    found = ((path, model.get_submodule(path)) for path in layers)
    return [Target(path, layer, name) for path, layer in found for name in weight_names(layer)]


def density(found: Iterable[Target]) -> float:
    """The share of non-zeros among all weights of the targets."""
    values = [target.value for target in found]
    return sum(int(v.count_nonzero()) for v in values) / sum(v.numel() for v in values)
