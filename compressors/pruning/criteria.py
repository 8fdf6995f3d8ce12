"""What a weight is worth: the interface of all criteria, and those that only look at weights.

A group is worth the sum of its weights (Mao et al., arXiv:1705.08922, Sec. 3).
"""

from abc import ABC, abstractmethod
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from compressors._data import Data
from compressors.pruning.targets import Target
from hwsim.config import Config


class Criterion(ABC):
    """How much the loss of a weight would hurt."""

    @abstractmethod
    def scores(self, model: nn.Module, found: list[Target], data: Data | None) -> list[Tensor]:
        """A score for every weight of each target, of the target's shape; none is negative."""


class Magnitude(Config, Criterion):
    """The magnitude of a weight, or its square."""

    power: Literal[1, 2] = 1

    def scores(self, model: nn.Module, found: list[Target], data: Data | None) -> list[Tensor]:
        return [target.value.abs() ** self.power for target in found]


class Random(Config, Criterion):
    """Any weight as good as another: what every other criterion must beat."""

    seed: int = Field(default=0, ge=0, lt=2**32)

    def scores(self, model: nn.Module, found: list[Target], data: Data | None) -> list[Tensor]:
        draw = torch.Generator().manual_seed(self.seed)
        return [torch.rand(target.value.shape, generator=draw) for target in found]
