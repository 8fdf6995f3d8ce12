"""CIFAR-10's archives are split in three, checked, and left alone where nothing asks for them."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from data import cifar10
from hwsim import registry
from hwsim.config import parse
from hwsim.scenario_sides import DatasetChoice
from tests.complaints import refused

CIFAR10 = Path(__file__).parents[2] / "shared" / "data" / "cifar10"
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


@pytest.fixture
def archives(tmp_path: Path) -> Path:
    """12 training images, of which 0, 4 and 8 calibrate three, and 4 test images; image i is grey.

    As JPEG there are 20, sorted by class.
    """
    folder = tmp_path / "cifar10"
    folder.mkdir()
    labels = np.arange(12, dtype=np.uint8) % 3
    np.savez(
        folder / "lossless.npz",
        x_train=grey(np.arange(12)),
        y_train=labels,
        x_test=grey(np.arange(100, 104)),
        y_test=np.array([9, 8, 7, 6], np.uint8),
    )
    every = np.concatenate([np.flatnonzero(labels == label) for label in range(3)])
    coded = [jpeg_bytes(level) for level in (*(every * 8), *range(200, 208))]
    np.savez(
        folder / "train_jpeg.npz",
        jpeg=np.frombuffer(b"".join(coded), np.uint8),
        offset=np.cumsum([0, *map(len, coded)]),
        label=np.array([*labels[every], *[5] * 8], np.uint8),
    )
    return folder


def grey(levels: NDArray[np.int64]) -> NDArray[np.uint8]:
    return np.tile(levels.astype(np.uint8)[:, None, None, None], (1, 32, 32, 3))


def jpeg_bytes(level: int, *, size: tuple[int, int] = (32, 32)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, (int(level),) * 3).save(buffer, "jpeg")
    return buffer.getvalue()


def levels(images: Tensor | None) -> list[int]:
    """The grey level of each image, which all its pixels share."""
    assert images is not None
    pixels = images * torch.tensor(STD).view(3, 1, 1) + torch.tensor(MEAN).view(3, 1, 1)
    grey = (255 * pixels).round().flatten(1).int()
    assert (grey == grey[:, :1]).all()
    return grey[:, 0].tolist()


def test_cifar10_is_split_in_three(archives: Path) -> None:
    read = cifar10.load(archives, calibration_images=3, training=True)
    assert (levels(read.images), read.labels.tolist()) == ([100, 101, 102, 103], [9, 8, 7, 6])
    assert levels(read.calibration) == [0, 4, 8]
    assert levels(read.training) == [1, 2, 3, 5, 6, 7, 9, 10, 11]
    assert read.training_labels is not None
    assert read.training_labels.tolist() == [1, 2, 0, 2, 0, 1, 0, 1, 2]
    assert read.images.shape == (4, 3, 32, 32)
    assert read.training_labels.dtype == read.labels.dtype == torch.int64


def test_cifar10_as_jpeg_leaves_out_the_same_images(archives: Path) -> None:
    read = cifar10.load(archives, calibration_images=3, limit=1, jpeg=True)
    by_class = [[3, 6, 9], [1, 7, 10], [2, 5, 11]]
    assert levels(read.training) == [8 * i for row in by_class for i in row] + [*range(200, 208)]
    assert read.training_labels is not None
    assert read.training_labels.tolist() == [0] * 3 + [1] * 3 + [2] * 3 + [5] * 8
    assert levels(read.images) == [100]


def test_scenarios_can_ask_for_training_images(archives: Path) -> None:
    said = {"name": "cifar10", "folder": str(archives), "calibration_images": 3, "jpeg": True}
    choice = parse(said, DatasetChoice, file="scenario")
    read = registry.module("data set", choice.name).load(**choice.arguments())
    assert read.training is not None
    assert len(read.training) == 17


def test_cifar10_trains_only_where_asked(archives: Path) -> None:
    (archives / "train_jpeg.npz").unlink()
    assert cifar10.load(archives, calibration_images=12).training is None
    refused(
        lambda: cifar10.load(archives, calibration_images=3, jpeg=True),
        f"{archives / 'train_jpeg.npz'}: no such file",
    )


def test_cifar10_counts_and_folders_are_checked(archives: Path, tmp_path: Path) -> None:
    refused(lambda: cifar10.load(tmp_path / "no"), f"{tmp_path / 'no'}: no such folder")
    refused(lambda: cifar10.load(tmp_path), f"{tmp_path / 'lossless.npz'}: no such file")
    refused(
        lambda: cifar10.load(archives), f"{archives}: calibration_images: expected 1 to 12 images"
    )


@pytest.mark.parametrize("limit", [0, 5])
def test_cifar10_limits_are_checked(archives: Path, limit: int) -> None:
    refused(
        lambda: cifar10.load(archives, calibration_images=1, limit=limit),
        f"{archives}: limit: expected 1 to 4 images, found {limit}",
    )


BROKEN_ARCHIVES: dict[str, tuple[str, dict[str, NDArray[Any]], str]] = {
    "size": ("lossless", {"x_test": np.zeros((4, 28, 28, 3), np.uint8)}, "x_test: expected bytes"),
    "type": ("lossless", {"x_train": np.zeros((12, 32, 32, 3))}, "x_train: expected bytes"),
    "fewer": ("lossless", {"y_test": np.zeros(3, np.uint8)}, "y_test: expected 4 integers"),
    "class": ("lossless", {"y_train": np.full(12, 10)}, "y_train: expected 0 ... 9, found 10"),
    "offset": ("train_jpeg", {"offset": np.arange(21)}, "offset: expected rising integers from 0"),
    "label": ("train_jpeg", {"label": np.zeros(20)}, "label: expected 20 integers, found float64"),
    "few": ("train_jpeg", {"label": np.full(20, 4)}, "label: fewer images of class 0 than x_train"),
}


@pytest.mark.parametrize("case", BROKEN_ARCHIVES)
def test_cifar10_archives_are_checked(archives: Path, case: str) -> None:
    name, changes, complaint = BROKEN_ARCHIVES[case]
    path = archives / f"{name}.npz"
    with np.load(path) as whole:
        np.savez(path, **{**whole, **changes})
    refused(lambda: cifar10.load(archives, calibration_images=3, jpeg=True), f"{path}: {complaint}")


def test_cifar10_images_are_checked(archives: Path) -> None:
    path = archives / "train_jpeg.npz"
    with np.load(path) as whole:
        arrays = dict(whole)
    for coded, complaint in (
        (b"no image", "image 19: not a readable image"),
        (jpeg_bytes(1, size=(32, 31)), "image 19: expected 32 x 32 pixels, found [31, 32]"),
    ):
        kept = arrays["jpeg"][: arrays["offset"][19]].tobytes() + coded
        offset = np.array([*arrays["offset"][:20], len(kept)])
        np.savez(path, **{**arrays, "jpeg": np.frombuffer(kept, np.uint8), "offset": offset})
        refused(
            lambda: cifar10.load(archives, calibration_images=3, jpeg=True), f"{path}: {complaint}"
        )


def test_cifar10_is_the_original() -> None:
    if not CIFAR10.is_dir():
        pytest.skip(f"{CIFAR10} is absent")
    read = cifar10.load(CIFAR10, training=True)
    assert read.images.shape == (500, 3, 32, 32)
    assert read.calibration.shape == (512, 3, 32, 32)
    assert read.training is not None
    assert read.training.shape == (4000 - 512, 3, 32, 32)
    assert abs(float(read.training.mean())) < 0.2
    assert 0.8 < float(read.training.std()) < 1.3


@pytest.mark.slow
def test_cifar10_jpeg_twins_are_the_same_images() -> None:
    """Some training images' nearest kin among all that are JPEG is the one taken for theirs."""
    if not CIFAR10.is_dir():
        pytest.skip(f"{CIFAR10} is absent")
    lossless, labels = cifar10.read_split(CIFAR10 / "lossless.npz", "train")
    path = CIFAR10 / "train_jpeg.npz"
    with np.load(path) as archive:
        others = archive["label"]
    lossy, _ = cifar10.read_jpeg(path, held_out=[], labels=labels)
    some = range(0, 4000, 63)
    images = cifar10.normalise(lossless[some])
    nearest = torch.cdist(images.flatten(1), lossy.flatten(1)).argmin(1)
    assert nearest.tolist() == cifar10.twins(some, labels, others, path=path)
