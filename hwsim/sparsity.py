"""Bits that a tensor takes in memory: expected from a density, exact from its values.

Every code is real: `decode(encode(x))` is `x`, and the bits claimed are the bits written. Values
are signed, in two's complement; a stream fills each byte from its least significant bit.

- dense: every value in `bits` bits.
- bitmap: one bit an element that says whether it is non-zero, then the non-zero values.
- run_length: the code of the Eyeriss chip (Chen et al., JSSC 2017, on run-length compression) for
  values of any width: pairs of a 5-bit run of zeros and the value behind it, as many to a 64-bit
  word as leave it one bit, the flag of the last word: three at 16 bits. The value behind a run
  may itself be zero, so that the pair (31, 0) stands for 32 zeros.
"""

from abc import ABC, abstractmethod
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import InputError
from hwsim.workload import Storage

RUN_BITS = 5
WORD_BITS = 64
_LONGEST_PAIR = 2**RUN_BITS

Integers = NDArray[np.int64]
Bits = NDArray[np.uint8]


def expected_bits(storage: Storage, *, bits: int, density: float) -> float:
    """Expected bits an element of a long tensor with independent zeros, `bits` wide when dense.

    Raises InputError on a density outside 0..1 or a width that the format cannot hold.
    """
    if not 0.0 <= density <= 1.0:
        raise InputError(f"density = {density}: must lie in 0..1")
    return _code(storage, bits).expected_bits(density)


def stored_bits(storage: Storage, *, bits: int, density: float) -> float:
    """Expected bits an element where a coder that would inflate the tensor is bypassed.

    The Eyeriss chip does so (Chen et al., JSSC 2017): the ifmap of AlexNet's CONV1 stays uncoded.
    """
    return min(expected_bits(storage, bits=bits, density=density), float(bits))


def encoded_bits(storage: Storage, values: NDArray[Any], *, bits: int) -> int:
    """Bits that `encode` writes for an integer array, before the last byte is filled up.

    Raises InputError as `encode` does.
    """
    return _code(storage, bits).encoded_bits(_checked(values, bits))


def encode(storage: Storage, values: NDArray[Any], *, bits: int) -> bytes:
    """An integer array of any shape, in C order, as `ceil(encoded_bits / 8)` bytes.

    Raises InputError if the array holds no integers or one does not fit in `bits` signed bits.
    """
    return np.packbits(
        _code(storage, bits).encode(_checked(values, bits)), bitorder="little"
    ).tobytes()


def decode(storage: Storage, data: bytes, *, bits: int, count: int) -> Integers:
    """The `count` values that `encode` wrote, shape [count].

    Raises InputError if `data` is not the code of that many values.
    """
    if count < 0:
        raise InputError(f"count = {count}: must not be negative")
    stream = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")
    values = _code(storage, bits).decode(stream, count)
    if encode(storage, values, bits=bits) != data:
        raise InputError(f"{len(data)} bytes are not the {storage} code of {count} values")
    return values


class _Code(ABC):
    """A storage format for values of one width."""

    widest = 64

    def __init__(self, bits: int) -> None:
        self.bits = bits

    @abstractmethod
    def expected_bits(self, density: float) -> float:
        """Expected bits an element."""

    @abstractmethod
    def encoded_bits(self, values: Integers) -> int:
        """Exact bits of the stream."""

    @abstractmethod
    def encode(self, values: Integers) -> Bits:
        """The stream, one bit an element."""

    @abstractmethod
    def decode(self, stream: Bits, count: int) -> Integers:
        """The values of a stream; whatever comes to hand, of `count` values, if it is broken."""


class _Dense(_Code):
    def expected_bits(self, density: float) -> float:
        return float(self.bits)

    def encoded_bits(self, values: Integers) -> int:
        return values.size * self.bits

    def encode(self, values: Integers) -> Bits:
        return _to_bits(values, self.bits).ravel()

    def decode(self, stream: Bits, count: int) -> Integers:
        return _to_integers(_padded(stream, count * self.bits).reshape(count, self.bits))


class _Bitmap(_Code):
    def expected_bits(self, density: float) -> float:
        return 1 + density * self.bits

    def encoded_bits(self, values: Integers) -> int:
        return values.size + int(np.count_nonzero(values)) * self.bits

    def encode(self, values: Integers) -> Bits:
        mask = values != 0
        return np.concatenate((mask.astype(np.uint8), _to_bits(values[mask], self.bits).ravel()))

    def decode(self, stream: Bits, count: int) -> Integers:
        values = np.zeros(count, np.int64)
        mask = _padded(stream, count).astype(bool)
        nonzero = int(mask.sum())
        packed = _padded(stream[count:], nonzero * self.bits).reshape(nonzero, self.bits)
        values[mask] = _to_integers(packed)
        return values


class _RunLength(_Code):
    widest = WORD_BITS - 1 - RUN_BITS

    def __init__(self, bits: int) -> None:
        super().__init__(bits)
        self.pair_bits = RUN_BITS + bits
        self.pairs_per_word = (WORD_BITS - 1) // self.pair_bits

    def expected_bits(self, density: float) -> float:
        # A pair covers 1 + z + ... + z^31 elements on average, z the share of zeros.
        elements_per_pair = prod(1 + (1 - density) ** (1 << i) for i in range(RUN_BITS))
        return WORD_BITS / (self.pairs_per_word * elements_per_pair)

    def encoded_bits(self, values: Integers) -> int:
        _, gaps = _gaps(values)
        return self._words(int((gaps // _LONGEST_PAIR + 1).sum())) * WORD_BITS

    def encode(self, values: Integers) -> Bits:
        ends, gaps = _gaps(values)
        at = np.cumsum(gaps // _LONGEST_PAIR + 1) - 1
        pairs = int(at[-1]) + 1 if at.size else 0
        runs = np.full(pairs, _LONGEST_PAIR - 1)
        runs[at] = gaps % _LONGEST_PAIR
        levels = np.zeros(pairs, np.int64)
        levels[at] = values[ends]
        return self._pack(np.hstack((_to_bits(runs, RUN_BITS), _to_bits(levels, self.bits))))

    def decode(self, stream: Bits, count: int) -> Integers:
        words = _padded(stream, stream.size // WORD_BITS * WORD_BITS).reshape(-1, WORD_BITS)
        pairs = words[:, : self.pairs_per_word * self.pair_bits].reshape(-1, self.pair_bits)
        # A run has no sign: a zero above its bits keeps it positive.
        runs = _to_integers(np.pad(pairs[:, :RUN_BITS], ((0, 0), (0, 1))))
        ends = np.cumsum(runs + 1) - 1
        inside = ends < count
        values = np.zeros(count, np.int64)
        values[ends[inside]] = _to_integers(pairs[inside, RUN_BITS:])
        return values

    def _words(self, pairs: int) -> int:
        return -(-pairs // self.pairs_per_word)

    def _pack(self, pairs: Bits) -> Bits:
        """Pairs [pair, bit] in whole words, the flag set on the last."""
        words = np.zeros((self._words(len(pairs)), WORD_BITS), np.uint8)
        used = self.pairs_per_word * self.pair_bits
        words[:, :used] = _padded(pairs.ravel(), len(words) * used).reshape(-1, used)
        words[-1:, -1] = 1
        return words.ravel()


_CODES: dict[Storage, type[_Code]] = {
    Storage.DENSE: _Dense,
    Storage.BITMAP: _Bitmap,
    Storage.RUN_LENGTH: _RunLength,
}


def _code(storage: Storage, bits: int) -> _Code:
    code = _CODES[storage]
    if not 1 <= bits <= code.widest:
        raise InputError(f"{storage} storage: bits = {bits}: must lie in 1..{code.widest}")
    return code(bits)


def _checked(values: NDArray[Any], bits: int) -> Integers:
    """The values in C order, once they are known to be integers of `bits` signed bits."""
    if not np.issubdtype(values.dtype, np.integer):
        raise InputError(f"values of type {values.dtype}: must be integers")
    limit = 1 << (bits - 1)
    for value in (int(values.min(initial=0)), int(values.max(initial=0))):
        if not -limit <= value < limit:
            raise InputError(f"value {value} does not fit in {bits} signed bits")
    return values.astype(np.int64).ravel()


def _gaps(values: Integers) -> tuple[Integers, Integers]:
    """Where runs of zeros end, and the zeros before each end; the last element always ends one."""
    ends = np.flatnonzero(values)
    if values.size and not values[-1]:
        ends = np.append(ends, values.size - 1)
    return ends, np.diff(ends, prepend=-1) - 1


def _to_bits(values: Integers, width: int) -> Bits:
    """Bits [value, bit] of integers, least significant first."""
    octets = values.astype("<i8").view(np.uint8).reshape(-1, 8)
    return np.unpackbits(octets, axis=1, count=width, bitorder="little")


def _to_integers(fields: Bits) -> Integers:
    """Signed integers from bits [value, bit], least significant first."""
    count, width = fields.shape
    octets = np.zeros((count, 8), np.uint8)
    octets[:, : -(-width // 8)] = np.packbits(fields, axis=1, bitorder="little")
    values: Integers = octets.view("<i8").ravel().astype(np.int64)
    unused = np.int64(64 - width)
    return (values << unused) >> unused


def _padded(stream: Bits, size: int) -> Bits:
    """The first `size` bits of a stream, zeros where it is shorter."""
    return np.pad(stream[:size], (0, max(0, size - stream.size)))
