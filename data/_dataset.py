"""What every data set hands over: images, labels, and images to calibrate or train on."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Dataset:
    """Test images float32 N x C x H x W, labels int64 N, calibration float32 M x C x H x W, and the
    labels int64 M of the latter where they are known.

    Training images float32 T x C x H x W and their labels int64 T where they were asked for, else
    None. All images are normalised as the networks expect, and none is in two of the three sets.
    """

    images: Tensor
    labels: Tensor
    calibration: Tensor
    calibration_labels: Tensor | None = None
    training: Tensor | None = None
    training_labels: Tensor | None = None
