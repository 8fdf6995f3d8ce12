"""Fashion-MNIST: the 10,000 test images, and 512 training images to calibrate on.

Xiao, Rasul and Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning
Algorithms", arXiv:1708.07747; MIT licence (LICENSE.fashion_mnist). `python -m
models._train_mobilenet_v1_fashion` rebuilds fashion_mnist_test.npz from the original files.
"""

import zlib
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from data._dataset import Dataset
from hwsim.errors import InputError

ARCHIVE = Path(__file__).with_name("fashion_mnist_test.npz")
# Mean and standard deviation of the 60,000 training images scaled to [0, 1].
MEAN, STD = 0.2860, 0.3530
BORDER = 2  # 28 x 28 -> 32 x 32


def normalise(images: NDArray[np.uint8]) -> Tensor:
    """Pixels N x 28 x 28 -> float32 N x 1 x 32 x 32: black border, scaled, standardised."""
    padded = functional.pad(torch.from_numpy(images), (BORDER,) * 4)
    return ((padded.float() / 255 - MEAN) / STD).unsqueeze(1)


def load(*, limit: int | None = None, calibration_images: int = 512) -> Dataset:
    """The first `limit` test images (all by default) and the first calibration images.

    Raises InputError where the archive is missing or corrupt, or a count is out of range.
    """
    arrays = read_archive(ARCHIVE)
    n_test, n_calibration = len(arrays["images"]), len(arrays["calibration"])
    count = n_test if limit is None else limit
    if not 1 <= count <= n_test:
        raise InputError(f"fashion_mnist: limit: expected 1 to {n_test}, found {limit}")
    if not 1 <= calibration_images <= n_calibration:
        raise InputError(
            "fashion_mnist: calibration_images: "
            f"expected 1 to {n_calibration}, found {calibration_images}"
        )
    return Dataset(
        images=normalise(arrays["images"][:count]),
        labels=torch.from_numpy(arrays["labels"][:count].astype(np.int64)),
        calibration=normalise(arrays["calibration"][:calibration_images]),
    )


def read_archive(path: Path) -> dict[str, NDArray[np.uint8]]:
    """The arrays `images` 10000 x 28 x 28, `labels` 10000, `calibration` 512 x 28 x 28."""
    try:
        with np.load(path) as archive:
            return {name: archive[name] for name in ("images", "labels", "calibration")}
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (OSError, ValueError, KeyError, EOFError, BadZipFile, zlib.error) as fault:
        raise InputError(f"{path}: not a readable Fashion-MNIST archive: {fault}") from fault
