"""A folder of labelled images, prepared as ImageNet networks expect.

Labels come from `labels.csv` in the folder (columns `file` and `label`, a class number from 0), or
else from class sub-folders numbered in sorted order. Images are prepared as for torchvision's
weights: short side to 256, centre crop of 224, scaled by ImageNet's mean and standard deviation, or
to (pixel - 127) / 128 where `scaling` is "symmetric", as TensorFlow's networks expect.
"""

import csv
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from data._dataset import Dataset
from hwsim.errors import InputError

Item = TypeVar("Item")

SHORT_SIDE, CROP = 256, 224
MEAN = torch.tensor([0.485, 0.456, 0.406])
STD = torch.tensor([0.229, 0.224, 0.225])
Scaling = Literal["imagenet", "symmetric"]
SCALES = {"imagenet": (MEAN, STD), "symmetric": (torch.tensor(127 / 255), torch.tensor(128 / 255))}
SUFFIXES = {".jpeg", ".jpg", ".png", ".bmp", ".webp"}
LABELS_FILE = "labels.csv"


class LabelledImage(NamedTuple):
    """An image file and its class number."""

    path: Path
    label: int


def load(
    folder: Path,
    *,
    limit: int | None = None,
    calibration_folder: Path | None = None,
    calibration_images: int = 64,
    training_folder: Path | None = None,
    training_images: int | None = None,
    classes: int = 1000,
    scaling: Scaling = "imagenet",
) -> Dataset:
    """At most `limit` test images of `folder`, and `calibration_images` to calibrate on.

    Calibration images come from `calibration_folder`, or else out of `folder`, whose remaining
    images are the test images. Labelled training images come from `training_folder` where it is
    given: `training_images` of it, all by default, and none that serves the other ends, too. Every
    choice is evenly spaced over the sorted or listed order.
    Raises InputError for a missing folder, file or label, an unreadable image, or a label outside
    0 ... classes - 1.
    """
    listed = labelled_images(folder, classes=classes)
    if calibration_folder is None:
        calibration = spread(listed, calibration_images, what=f"{folder}: calibration_images")
        held_out = {image.path for image in calibration}
        listed = [image for image in listed if image.path not in held_out]
        calibration_paths = [image.path for image in calibration]
        calibration_labels = class_numbers(calibration)
    else:
        calibration_labels = None
        calibration_paths = spread(
            image_files(calibration_folder),
            calibration_images,
            what=f"{calibration_folder}: calibration_images",
        )
    wanted = len(listed) if limit is None else min(limit, len(listed))
    chosen = spread(listed, wanted, what=f"{folder}: limit")
    learnt: list[LabelledImage] = []
    if training_folder is not None:
        taken = {path.resolve() for path in (*calibration_paths, *(image.path for image in listed))}
        learnt = unseen(training_folder, training_images, taken=taken, classes=classes)
    paths = [image.path for image in learnt]
    return Dataset(
        images=read_images([image.path for image in chosen], scaling=scaling),
        labels=class_numbers(chosen),
        calibration=read_images(calibration_paths, scaling=scaling),
        calibration_labels=calibration_labels,
        training=read_images(paths, scaling=scaling) if learnt else None,
        training_labels=class_numbers(learnt) if learnt else None,
    )


def unseen(
    folder: Path, count: int | None, *, taken: Collection[Path], classes: int
) -> list[LabelledImage]:
    """`count` labelled images, all by default, of those in `folder` that are not `taken`."""
    listed = labelled_images(folder, classes=classes)
    free = [image for image in listed if image.path.resolve() not in taken]
    return spread(free, len(free) if count is None else count, what=f"{folder}: training_images")


def class_numbers(images: Sequence[LabelledImage]) -> Tensor:
    """The images' labels, int64."""
    return torch.tensor([image.label for image in images], dtype=torch.int64)


def spread(items: Sequence[Item], count: int, *, what: str) -> list[Item]:
    """`count` items at even distances; raises InputError, naming `what`, if there are fewer."""
    if not 1 <= count <= len(items):
        raise InputError(f"{what}: expected 1 to {len(items)} images, found {count}")
    return [items[index * len(items) // count] for index in range(count)]


def labelled_images(folder: Path, *, classes: int) -> list[LabelledImage]:
    """Every labelled image of a folder, in the order of labels.csv or of sorted paths."""
    check_folder(folder)
    if (folder / LABELS_FILE).is_file():
        return listed_images(folder / LABELS_FILE, classes=classes)
    class_folders = sorted(entry for entry in folder.iterdir() if entry.is_dir())
    if not class_folders:
        raise InputError(f"{folder}: expected {LABELS_FILE} or one sub-folder per class")
    if len(class_folders) > classes:
        raise InputError(f"{folder}: expected {classes} classes, found {len(class_folders)}")
    return [
        LabelledImage(path, label)
        for label, class_folder in enumerate(class_folders)
        for path in image_files(class_folder)
    ]


def listed_images(table: Path, *, classes: int) -> list[LabelledImage]:
    """The images a labels.csv names, relative to its folder."""
    try:
        with table.open(newline="", encoding="utf-8-sig") as stream:
            rows = csv.DictReader(stream)
            missing = {"file", "label"} - set(rows.fieldnames or ())
            if missing:
                raise InputError(f"{table}: {min(missing)}: no such column")
            return [
                LabelledImage(
                    table.parent / str(row["file"]),
                    class_number(
                        row["label"], classes=classes, where=f"{table}: line {rows.line_num}"
                    ),
                )
                for row in rows
            ]
    except (OSError, UnicodeDecodeError, csv.Error) as fault:
        raise InputError(f"{table}: not a readable table: {fault}") from fault


def class_number(text: str | None, *, classes: int, where: str) -> int:
    """The label `text`; raises InputError unless it is an integer in 0 ... classes - 1."""
    label = int(text) if text and text.strip().isdecimal() else -1
    if not 0 <= label < classes:
        raise InputError(f"{where}: label = {text!r}: expected an integer in 0 ... {classes - 1}")
    return label


def image_files(folder: Path) -> list[Path]:
    """The image files in a folder, by suffix, sorted by name."""
    check_folder(folder)
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)


def check_folder(folder: Path) -> None:
    """Raise InputError unless the folder exists."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")


def read_images(paths: Sequence[Path], *, scaling: Scaling = "imagenet") -> Tensor:
    """Prepared images, float32 N x 3 x 224 x 224."""
    images = torch.empty(len(paths), 3, CROP, CROP)
    for index, path in enumerate(paths):
        images[index] = read_image(path, scaling=scaling)
    return images


def read_image(path: Path, *, scaling: Scaling = "imagenet") -> Tensor:
    """One prepared image, float32 3 x 224 x 224; raises InputError where it cannot be read."""
    try:
        with Image.open(path) as file:
            cropped = crop_centre(file.convert("RGB"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such image") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as fault:
        raise InputError(f"{path}: not a readable image: {fault}") from fault
    pixels = torch.from_numpy(np.array(cropped)).float() / 255
    mean, std = SCALES[scaling]
    return ((pixels - mean) / std).permute(2, 0, 1)


def crop_centre(image: Image.Image) -> Image.Image:
    """Short side to 256 where longer, to 224 where shorter; then the 224 x 224 centre."""
    short = min(image.size)
    side = min(max(short, CROP), SHORT_SIDE)
    if side != short:
        width, height = (round(length * side / short) for length in image.size)
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    left, top = ((length - CROP) // 2 for length in image.size)
    return image.crop((left, top, left + CROP, top + CROP))
