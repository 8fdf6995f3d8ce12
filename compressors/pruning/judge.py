"""How well masked networks do on images that they do not train on."""

import copy
from collections.abc import Sequence

from torch import Tensor, nn

from compressors._data import Data
from compressors.pruning.granularity import Granularity
from compressors.pruning.pruner import cut_groups_
from compressors.pruning.targets import targets
from hwsim.accuracy import top1
from hwsim.errors import InputError


def held_out(data: Data, count: int, *, seed: int) -> tuple[Data, Data]:
    """The data without `count` images drawn at random, and these; at most half are drawn.

    Raises InputError where there are fewer than two.
    """
    assert data.labels is not None
    if len(data.images) < 2:
        raise InputError("data: one image: none can be held out")
    return data.parted(min(count, len(data.images) // 2), seed=seed)


def misclassified(model: nn.Module, data: Data) -> float:
    """The share in 0..1 of images whose class the model gets wrong."""
    assert data.labels is not None
    return 1 - top1(model, data.images, data.labels)


def masked(
    model: nn.Module, layers: Sequence[str], stays: list[Tensor], granularity: Granularity
) -> nn.Module:
    """A copy of the model without the groups that do not stay."""
    found = copy.deepcopy(model)
    cut_groups_(targets(found, layers), stays, granularity)
    return found
