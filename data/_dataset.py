"""What every data set hands over: normalised images, their labels, and images to calibrate on."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Dataset:
    """Test images float32 N x C x H x W, labels int64 N, calibration float32 M x C x H x W.

    All images are normalised as the networks expect; no calibration image is a test image.
    """

    images: Tensor
    labels: Tensor
    calibration: Tensor
