"""Rebuild fashion_mnist_test.npz from the original files; one zlib always writes the same bytes.

Run `python -m data._make_fashion_mnist [--source DIR]`; DIR holds the four files, gzipped or not.
"""

import argparse
import gzip
import io
import os
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
        raise InputError(f"{path}: no such file; Debian's dataset-fashion-mnist installs it")
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
    """The archive `fashion_mnist.load` reads: test and calibration images with their labels."""
    images, labels = read_split(source, "t10k")
    kept, kept_labels = (
        part[::CALIBRATION_STEP][:CALIBRATION_IMAGES] for part in read_split(source, "train")
    )
    arrays = {"images": images, "labels": labels}
    return archive_bytes({**arrays, "calibration": kept, "calibration_labels": kept_labels})


def write_atomically(path: Path, content: bytes) -> None:
    """Replace `path` whole, so that an interrupted run leaves the old file."""
    part = path.with_suffix(".part")
    part.write_bytes(content)
    os.replace(part, path)


def main() -> None:
    """Read the command line and rebuild the archive."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", type=Path, default=SOURCE, help="folder of the IDX files")
    try:
        content = make_archive(parser.parse_args().source)
    except InputError as fault:
        parser.error(str(fault))
    path = Path(__file__).with_name("fashion_mnist_test.npz")
    write_atomically(path, content)
    print(f"{path}: {len(content)} bytes")


if __name__ == "__main__":
    main()
