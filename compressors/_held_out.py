"""Part of the training images kept aside, for methods that choose by accuracy."""

from torch import nn

from compressors._data import Data
from hwsim.accuracy import top1
from hwsim.errors import InputError


def split(data: Data, *, share: float, seed: int) -> tuple[Data, Data]:
    """What to learn from, and what to choose by: `share` of the images, drawn once, at least one.

    Raises InputError where there are not two images.
    """
    count = len(data.images)
    if count < 2:
        raise InputError("data: one image: too few to hold some out")
    return data.parted(min(max(1, round(share * count)), count - 1), seed=seed)


def accuracy(model: nn.Module, data: Data) -> float:
    """Top-1 of the model in evaluation mode, 0 to 1."""
    assert data.labels is not None
    return top1(model.eval(), data.images, data.labels)
