"""A pruning method as five choices, which are independent of each other."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from compressors._data import Data
from compressors.pruning.allocation import Allocation, Groups, kept
from compressors.pruning.criteria import Criterion, Magnitude
from compressors.pruning.granularity import Granularity
from compressors.pruning.repair import Repair, Retrain
from compressors.pruning.schedule import Rounds, Schedule
from compressors.pruning.targets import Target, targets


@dataclass(frozen=True, kw_only=True)
class Pruner:
    """What goes at once, by which score, how much of each layer, when, and what mends it."""

    granularity: Granularity = field(default_factory=Granularity)
    criterion: Criterion = field(default_factory=Magnitude)
    allocation: Allocation = "layer"
    schedule: Schedule = field(default_factory=Rounds)
    repair: Repair = field(default_factory=Retrain)

    def prune_(self, model: nn.Module, layers: Sequence[str], sparsity: float, data: Data) -> None:
        """Prune the layers at these paths to `sparsity`, the share of their weights that goes."""
        self.schedule.carry_out(
            sparsity,
            cut=lambda wanted: self.cut_(model, layers, wanted, data),
            train=lambda after_step: self.repair.mend_(model, data, after_step),
            steps=self.repair.steps(data),
        )

    def cut_(
        self, model: nn.Module, layers: Sequence[str], sparsity: float, data: Data | None
    ) -> None:
        """Mask the groups of least score, once; what an earlier mask removed counts."""
        found = targets(model, layers)
        scores = self.criterion.scores(model, found, data)
        groups = [self._groups(*each) for each in zip(found, scores, strict=True)]
        cut_groups_(found, kept(groups, sparsity, self.allocation), self.granularity)

    def _groups(self, target: Target, scores: Tensor) -> Groups:
        alive = target.alive
        left, granularity = target.value[alive], self.granularity.of(target.layer)
        return Groups(
            scores=granularity.sums(scores * alive),
            sizes=granularity.sums(torch.ones_like(scores)),
            alive=granularity.sums(alive) > 0,
            deviation=float(left.std()) if left.numel() > 1 else 0.0,
        )


def cut_groups_(found: list[Target], stays: list[Tensor], granularity: Granularity) -> None:
    """Mask every group of each target that does not stay; truth values [groups]."""
    for target, groups in zip(found, stays, strict=True):
        shape, unit = tuple(target.value.shape), granularity.of(target.layer)
        target.cut_(unit.spread(groups, shape), unit.stored_grid(shape))
