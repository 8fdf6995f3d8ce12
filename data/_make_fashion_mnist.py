"""Rebuild fashion_mnist_test.npz from the original files; one zlib always writes the same bytes."""

import gzip
import io
import zipfile
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import InputError

SOURCE = Path("/usr/share/datasets/fashion-mnist")  # Debian package dataset-fashion-mnist
CALIBRATION_STEP, CALIBRATION_IMAGES = 117, 512  # every 117th training image
BYTES_MAGIC = b"\0\0\x08"


def read_idx(path: Path) -> NDArray[np.uint8]:
    """The unsigned bytes of an IDX file, in their stored shape; gzipped where it ends in .gz."""
    if not path.is_file():
        raise InputError(f"{path}: no such file; see --source")
    try:
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as fault:
        raise InputError(f"{path}: not a readable file: {fault}") from fault
    if len(raw) < 4 or raw[:3] != BYTES_MAGIC:
        raise InputError(f"{path}: not an IDX file of unsigned bytes")
    rank = raw[3]
    shape = np.frombuffer(raw, ">u4", rank, offset=4)
    values = np.frombuffer(raw, np.uint8, offset=4 + 4 * rank)
    if values.size != np.prod(shape, dtype=int):
        raise InputError(f"{path}: expected {[*shape.tolist()]} bytes, found {values.size}")
    return values.reshape(shape).copy()


def read_split(source: Path, split: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Images N x 28 x 28 and labels N of split "train" or "t10k"."""
    names = (f"{split}-images-idx3-ubyte", f"{split}-labels-idx1-ubyte")
    plain = all((source / name).is_file() for name in names)
    images, labels = (read_idx(source / (name if plain else f"{name}.gz")) for name in names)
    return images, labels


def archive_bytes(arrays: dict[str, NDArray[np.uint8]]) -> bytes:
    """A deflated .npz with fixed time stamps: the same arrays give the same bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, array in arrays.items():
            content = io.BytesIO()
            np.save(content, array)
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            archive.writestr(entry, content.getvalue(), zipfile.ZIP_DEFLATED, compresslevel=9)
    return buffer.getvalue()


def make_archive(source: Path) -> bytes:
    """The archive `fashion_mnist.load` reads: test images, labels, calibration images."""
    images, labels = read_split(source, "t10k")
    train_images, _ = read_split(source, "train")
    calibration = train_images[::CALIBRATION_STEP][:CALIBRATION_IMAGES]
    return archive_bytes({"images": images, "labels": labels, "calibration": calibration})
