"""What a method may learn from."""

from dataclasses import dataclass
from enum import StrEnum

import torch
from torch import Tensor

from hwsim.errors import InputError


class Needs(StrEnum):
    """What data a method cannot do without."""

    NOTHING = "nothing"
    IMAGES = "images"
    LABELS = "labels"


@dataclass(frozen=True, kw_only=True, eq=False)
class Data:
    """Inputs prepared as for the network, float N x ..., and their labels, int64 N, if known.

    None of them may be a test image. Raises InputError on images or labels that cannot be used.
    """

    images: Tensor
    labels: Tensor | None = None

    def __post_init__(self) -> None:
        if not len(self.images):
            raise InputError("data: images: there are none")
        if not self.images.is_floating_point():
            raise InputError(f"data: images of type {self.images.dtype}: must be floating-point")
        if not torch.isfinite(self.images).all():
            raise InputError("data: images: not all are finite")
        if self.labels is not None and self.labels.shape != self.images.shape[:1]:
            shape = tuple(self.labels.shape)
            raise InputError(f"data: labels of shape {shape}: must be one for each image")

    def first(self, count: int) -> "Data":
        """The first `count` images, or all where there are fewer."""
        return self._chosen(slice(count))

    def parted(self, count: int, *, seed: int) -> tuple["Data", "Data"]:
        """The data without `count` images, drawn at random, and these."""
        generator = torch.Generator().manual_seed(seed)
        order = torch.randperm(len(self.images), generator=generator)
        return self._chosen(order[count:]), self._chosen(order[:count])

    def _chosen(self, rows: slice | Tensor) -> "Data":
        labels = None if self.labels is None else self.labels[rows]
        return Data(images=self.images[rows], labels=labels)


def check_data(method: str, needs: Needs, data: Data | None) -> None:
    """Raises InputError where a method needs what `data` does not have."""
    if needs is not Needs.NOTHING and data is None:
        raise InputError(f"{method}: needs {needs}: give it data")
    if needs is Needs.LABELS and data is not None and data.labels is None:
        raise InputError(f"{method}: needs labels: the data has none")
