"""Integers as fields of a bit stream, each with its least significant bit first."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Bits = NDArray[np.uint8]


def to_bits(values: NDArray[Any], width: int) -> Bits:
    """Bits [value, bit] of integers, least significant first."""
    octets = values.astype("<i8").view(np.uint8).reshape(-1, 8)
    return np.unpackbits(octets, axis=1, count=width, bitorder="little")


def to_unsigned(fields: Bits) -> Integers:
    """Integers of at most 63 bits from bits [value, bit], least significant first."""
    count, width = fields.shape
    octets = np.zeros((count, 8), np.uint8)
    octets[:, : -(-width // 8)] = np.packbits(fields, axis=1, bitorder="little")
    values: Integers = octets.view("<i8").ravel().astype(np.int64)
    return values


def to_signed(fields: Bits) -> Integers:
    """Integers from bits [value, bit] in two's complement, least significant first."""
    unused = np.int64(64 - fields.shape[1])
    return (to_unsigned(fields) << unused) >> unused


def fields(stream: Bits, count: int, width: int) -> Bits:
    """The first `count` fields [field, bit] of a stream, zeros where it is shorter."""
    return padded(stream, count * width).reshape(count, width)


def padded(stream: Bits, size: int) -> Bits:
    """The first `size` bits of a stream, zeros where it is shorter."""
    return np.pad(stream[:size], (0, max(0, size - stream.size)))
