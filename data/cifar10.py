"""CIFAR-10 from a folder of archives: test, calibration and training images of 32x32 in colour.

Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009. The folder holds

- `lossless.npz`: `x_train`, `y_train`, `x_test`, `y_test`; images are bytes N x 32 x 32 x 3;
- where `jpeg` is asked for, `train_jpeg.npz`: `jpeg`, all training images end to end, `offset`,
  where each begins and the last ends, and `label`. Of each class, the images of `x_train` come
  first and in the same order. Networks score some 10 points lower on these than on lossless images.

Images are standardised by ImageNet's mean and deviation, as the usual trained networks expect.
"""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from data._archive import read_arrays
from data._dataset import Dataset
from data.image_folder import MEAN, STD, check_folder, spread
from hwsim.errors import InputError

LOSSLESS, LOSSY = "lossless.npz", "train_jpeg.npz"
CLASSES, SHAPE = 10, (32, 32, 3)
Bytes = NDArray[np.uint8]


def normalise(images: Bytes) -> Tensor:
    """Pixels N x 32 x 32 x 3 -> float32 N x 3 x 32 x 32, standardised."""
    return ((torch.from_numpy(images).float() / 255 - MEAN) / STD).permute(0, 3, 1, 2).contiguous()


def load(
    folder: Path,
    *,
    limit: int | None = None,
    calibration_images: int = 512,
    training: bool = False,
    jpeg: bool = False,
) -> Dataset:
    """The first `limit` test images (all by default), and training images to calibrate on.

    Calibration images are evenly spaced over `x_train`. `training` asks for the rest of it, `jpeg`
    for all other training images as JPEG instead. Raises InputError for a missing folder, a missing
    or corrupt archive, or a count out of range.
    """
    check_folder(folder)
    tested, test_labels = read_split(folder / LOSSLESS, "test")
    trained, train_labels = read_split(folder / LOSSLESS, "train")
    what = f"{folder}: calibration_images"
    held_out = spread(range(len(trained)), calibration_images, what=what)
    count = len(tested) if limit is None else limit
    if not 1 <= count <= len(tested):
        raise InputError(f"{folder}: limit: expected 1 to {len(tested)} images, found {limit}")
    learnt: tuple[Tensor, Tensor] | None = None
    if jpeg:
        learnt = read_jpeg(folder / LOSSY, held_out=held_out, labels=train_labels)
    elif training:
        kept = np.setdiff1d(np.arange(len(trained)), held_out)
        learnt = normalise(trained[kept]), numbers(train_labels[kept])
    return Dataset(
        images=normalise(tested[:count]),
        labels=numbers(test_labels[:count]),
        calibration=normalise(trained[held_out]),
        calibration_labels=numbers(train_labels[held_out]),
        training=learnt and learnt[0],
        training_labels=learnt and learnt[1],
    )


def numbers(labels: NDArray[Any]) -> Tensor:
    """Labels as loss functions want them, int64."""
    return torch.from_numpy(labels.astype(np.int64))


def read_split(path: Path, split: str) -> tuple[Bytes, NDArray[Any]]:
    """Images and labels of `split` "train" or "test". Raises InputError."""
    x, y = f"x_{split}", f"y_{split}"
    arrays = read_arrays(path, x, y)
    images = arrays[x]
    if images.shape[1:] != SHAPE or images.dtype != np.uint8:
        found = f"{images.dtype} {[*images.shape]}"
        raise InputError(f"{path}: {x}: expected bytes [N, 32, 32, 3], found {found}")
    check_labels(arrays[y], count=len(images), where=f"{path}: {y}")
    return images, arrays[y]


def check_labels(labels: NDArray[Any], *, count: int, where: str) -> None:
    """Raise InputError unless there are `count` class numbers."""
    if labels.shape != (count,) or labels.dtype.kind not in "iu":
        found = f"{labels.dtype} {[*labels.shape]}"
        raise InputError(f"{where}: expected {count} integers, found {found}")
    if count and not 0 <= labels.min() <= labels.max() < CLASSES:
        raise InputError(f"{where}: expected 0 ... 9, found {labels.min()} ... {labels.max()}")


def read_jpeg(
    path: Path, *, held_out: Sequence[int], labels: NDArray[Any]
) -> tuple[Tensor, Tensor]:
    """Images and labels of the lossy archive, but for what `held_out` says of `x_train`.

    `labels` are those of `x_train`. Raises InputError.
    """
    blob, places, found = read_arrays(path, "jpeg", "offset", "label").values()
    check_offsets(places, length=len(blob), where=f"{path}: offset")
    check_labels(found, count=len(places) - 1, where=f"{path}: label")
    kept = np.setdiff1d(np.arange(len(found)), twins(held_out, labels, found, path=path))
    pixels = np.empty((len(kept), *SHAPE), np.uint8)
    for row, index in enumerate(kept):
        coded = blob[places[index] : places[index + 1]].tobytes()
        pixels[row] = decoded(coded, where=f"{path}: image {index}")
    return normalise(pixels), numbers(found[kept])


def check_offsets(places: NDArray[Any], *, length: int, where: str) -> None:
    """Raise InputError unless the places cut so many bytes into pieces."""
    whole = places.ndim == 1 and len(places) > 1 and places.dtype.kind in "iu"
    if not whole or places[0] != 0 or places[-1] != length or (places[1:] < places[:-1]).any():
        raise InputError(f"{where}: expected rising integers from 0 to {length}")


def twins(
    chosen: Sequence[int], labels: NDArray[Any], others: NDArray[Any], *, path: Path
) -> list[int]:
    """Where the chosen images lie in another list that begins each class with the same images."""
    found = []
    for index in chosen:
        rank = int((labels[:index] == labels[index]).sum())
        places = np.flatnonzero(others == labels[index])
        if rank >= len(places):
            raise InputError(f"{path}: label: fewer images of class {labels[index]} than x_train")
        found.append(int(places[rank]))
    return found


def decoded(coded: bytes, *, where: str) -> Bytes:
    """The pixels of one image, 32 x 32 x 3. Raises InputError."""
    try:
        with Image.open(io.BytesIO(coded)) as file:
            pixels = np.asarray(file.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as fault:
        raise InputError(f"{where}: not a readable image: {fault}") from fault
    if pixels.shape != SHAPE:
        raise InputError(f"{where}: expected 32 x 32 pixels, found {[*pixels.shape[:2]]}")
    return pixels
