"""Fashion-MNIST: the 10,000 test images, 512 training images to calibrate on, and the others.

Xiao, Rasul and Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning
Algorithms", arXiv:1708.07747; MIT licence (LICENSE.fashion_mnist). `python -m
data._make_fashion_mnist` rebuilds fashion_mnist_test.npz from the original files.
The other 59,488 training images do not ship: they are read from those files where they are wanted.
"""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from data._archive import read_arrays
from data._dataset import Dataset
from data._make_fashion_mnist import CALIBRATION_IMAGES, CALIBRATION_STEP, SOURCE, read_split
from hwsim.errors import InputError

ARCHIVE = Path(__file__).with_name("fashion_mnist_test.npz")
# Mean and standard deviation of the 60,000 training images scaled to [0, 1].
MEAN, STD = 0.2860, 0.3530
BORDER = 2  # 28 x 28 -> 32 x 32


def normalise(images: NDArray[np.uint8]) -> Tensor:
    """Pixels N x 28 x 28 -> float32 N x 1 x 32 x 32: black border, scaled, standardised."""
    padded = functional.pad(torch.from_numpy(images), (BORDER,) * 4)
    return ((padded.float() / 255 - MEAN) / STD).unsqueeze(1)


def load(
    *,
    limit: int | None = None,
    calibration_images: int = CALIBRATION_IMAGES,
    training: bool = False,
    training_folder: Path | None = None,
) -> Dataset:
    """The first `limit` test images (all by default) and the first calibration images.

    Training images are read where `training` asks for them or `training_folder` says where the
    original files lie; Debian's folder by default. Raises InputError where files are missing or
    corrupt, or a count is out of range.
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
    training_set = read_training(training_folder or SOURCE) if training or training_folder else None
    return Dataset(
        images=normalise(arrays["images"][:count]),
        labels=torch.from_numpy(arrays["labels"][:count].astype(np.int64)),
        calibration=normalise(arrays["calibration"][:calibration_images]),
        calibration_labels=torch.from_numpy(
            arrays["calibration_labels"][:calibration_images].astype(np.int64)
        ),
        training=training_set and training_set[0],
        training_labels=training_set and training_set[1],
    )


def read_training(folder: Path) -> tuple[Tensor, Tensor]:
    """Images 59488 x 1 x 32 x 32 and labels: the training images that calibrate nothing."""
    if not folder.is_dir():
        raise InputError(
            f"fashion_mnist: training_folder = {str(folder)!r}: no such folder; install Debian's "
            "dataset-fashion-mnist, or name a folder of the original files"
        )
    images, labels = read_split(folder, "train")
    kept = np.ones(len(images), dtype=bool)
    kept[: CALIBRATION_STEP * CALIBRATION_IMAGES : CALIBRATION_STEP] = False
    return normalise(images[kept]), torch.from_numpy(labels[kept].astype(np.int64))


def read_archive(path: Path) -> dict[str, NDArray[np.uint8]]:
    """The arrays `images` 10000 x 28 x 28, `calibration` 512 x 28 x 28, and `..labels` of each."""
    return read_arrays(path, "images", "labels", "calibration", "calibration_labels")
