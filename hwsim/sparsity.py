"""Bits that a tensor takes in memory: expected from a density, exact from its values.

Every code is real: `decode(encode(x))` is `x`, and the bits claimed are the bits written. Values
are signed, in two's complement; a stream fills each byte from its least significant bit.

- dense: every value in `bits` bits.
- bitmap: one bit an element that says whether it is non-zero, then the non-zero values.
- run_length: the code of the Eyeriss chip (Chen et al., JSSC 2017, on run-length compression) for
  values of any width: pairs of a 5-bit run of zeros and the value behind it, as many to a 64-bit
  word as leave it one bit, the flag of the last word: three at 16 bits. The value behind a run
  may itself be zero, so that the pair (31, 0) stands for 32 zeros.
- relative_index: the code of Deep Compression and EIE (Han et al., ICLR 2016, Fig. 2; ISCA 2016,
  Sec. III-B): the same pairs without words, by default with a run of 4 bits.
- csr: of a matrix [rows, columns], where each row begins and the last one ends, each non-zero's
  column, the non-zero values. A pointer is wide enough to count the whole matrix.
- csc: the same by columns.
- block: one bit for each block of a matrix, then the blocks that hold a non-zero, whole.

The last three need to know the matrix: a `Format` says so, and `matrix_shape` gives a layer's.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from math import prod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hwsim.bitstream import Integers
from hwsim.codes import (
    Bitmap,
    Blocks,
    Code,
    CompressedColumns,
    CompressedRows,
    Dense,
    RelativeIndex,
    RunLength,
    Shape,
)
from hwsim.errors import InputError
from hwsim.workload import Layer, Storage, Zeros

MATRICES = frozenset({Storage.CSR, Storage.CSC, Storage.BLOCK})
INDEX_BITS = 4
MOST_INDEX_BITS = 16


@dataclass(frozen=True, kw_only=True)
class Format:
    """A storage format and what it must know beforehand; a bare `Storage` stands for the defaults.

    `shape` is the matrix [rows, columns] as which csr, csc and block read a tensor in C order; the
    others ignore it but for the count. `block` is [rows, columns] of a block. Where zeros are
    `grouped` they fill blocks, as block pruning leaves them; otherwise each element is zero by
    itself. Raises InputError on impossible sizes; what is missing is asked for when it is needed.
    """

    storage: Storage
    shape: Shape | None = None
    block: Shape | None = None
    grouped: bool = False
    index_bits: int = INDEX_BITS

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}  # in machines' files

    def __post_init__(self) -> None:
        if not 1 <= self.index_bits <= MOST_INDEX_BITS:
            raise self.error(f"index_bits = {self.index_bits}: must lie in 1..{MOST_INDEX_BITS}")
        for key, pair in (("shape", self.shape), ("block", self.block)):
            if pair is not None and (len(pair) != 2 or min(pair) < 1):
                raise self.error(f"{key} = {pair}: must be two sizes of at least 1")

    def error(self, reason: str) -> InputError:
        """What to raise where the format cannot be."""
        return InputError(f"{self.storage} storage: {reason}")


def matrix_shape(layer: Layer, tensor: str) -> Shape:
    """A layer's tensor as a matrix [rows, columns]; rows times columns are its words.

    A weight has a row for each filter, [G K, C R S]; a map has one for each channel,
    [N G C, H W] or [N G K, P Q].
    """
    first, second, *last = layer.shape(tensor)
    return (first, second * prod(last)) if tensor == "weight" else (first * second, prod(last))


def check_complete(form: Storage | Format) -> None:
    """Raises InputError where a format for all layers says too little, or states a shape."""
    form = _format(form)
    if form.shape:
        raise form.error(f"shape = {form.shape}: is each layer's own")
    if form.storage is Storage.BLOCK:
        _needed(form, "block", form.block)


def tensor_bits(form: Storage | Format, layer: Layer, tensor: str, *, bits: int) -> float:
    """Bits an element, `bits` wide when dense, that a layer's tensor takes in a memory.

    Exact where the tensor's zeros are known, else expected from its density; a coder that would
    inflate the tensor is bypassed, as in `stored_bits`.
    """
    record = layer.tensor(tensor)
    if _format(form).storage in MATRICES:
        form = replace(_format(form), shape=matrix_shape(layer, tensor))
    if record.zeros is None:
        return stored_bits(form, bits=bits, density=record.density)
    return min(_exact_bits(form, record.zeros, bits), float(bits))


@lru_cache(maxsize=16)  # of the layers being mapped: an entry holds a bit for each element
def _exact_bits(form: Storage | Format, zeros: Zeros, bits: int) -> float:
    """Exact bits an element: no code's size depends on what the non-zeros are."""
    mask = zeros.mask.ravel()
    _check_count(form, mask.size)
    return _code(form, bits).encoded_bits(mask) / max(1, mask.size)


def expected_bits(form: Storage | Format, *, bits: int, density: float) -> float:
    """Expected bits an element, `bits` wide when dense, of a tensor with independent zeros.

    A mean over the whole tensor where the form gives its shape, else that of a long tensor. Raises
    InputError on a density outside 0..1, a width that the format cannot hold, or a `Storage` that
    must know the matrix.
    """
    if not 0.0 <= density <= 1.0:
        raise InputError(f"density = {density}: must lie in 0..1")
    return _expected_bits(form, bits, density)


@lru_cache(maxsize=4096)
def _expected_bits(form: Storage | Format, bits: int, density: float) -> float:
    return _code(form, bits).expected_bits(density)


def stored_bits(form: Storage | Format, *, bits: int, density: float) -> float:
    """Expected bits an element where a coder that would inflate the tensor is bypassed.

    The Eyeriss chip does so (Chen et al., JSSC 2017): the ifmap of AlexNet's CONV1 stays uncoded.
    """
    return min(expected_bits(form, bits=bits, density=density), float(bits))


def encoded_bits(form: Storage | Format, values: NDArray[Any], *, bits: int) -> int:
    """Bits that `encode` writes for an integer array, before the last byte is filled up.

    Raises InputError as `encode` does.
    """
    return _code(form, bits).encoded_bits(_checked(form, values, bits))


def encode(form: Storage | Format, values: NDArray[Any], *, bits: int) -> bytes:
    """An integer array of any shape, in C order, as `ceil(encoded_bits / 8)` bytes.

    Raises InputError if the array holds no integers, one does not fit in `bits` signed bits, or
    there are not as many as the form's shape holds.
    """
    stream = _code(form, bits).encode(_checked(form, values, bits))
    return np.packbits(stream, bitorder="little").tobytes()


def decode(form: Storage | Format, data: bytes, *, bits: int, count: int) -> Integers:
    """The `count` values that `encode` wrote, shape [count].

    Raises InputError if `data` is not the code of that many values.
    """
    _check_count(form, count)
    stream = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")
    values = _code(form, bits).decode(stream, count)
    if encode(form, values, bits=bits) != data:
        storage = _format(form).storage
        raise InputError(f"{len(data)} bytes are not the {storage} code of {count} values")
    return values


def _format(form: Storage | Format) -> Format:
    return form if isinstance(form, Format) else Format(storage=form)


@lru_cache(maxsize=1024)
def _code(form: Storage | Format, bits: int) -> Code:
    form = _format(form)
    widest = RunLength.widest if form.storage is Storage.RUN_LENGTH else Code.widest
    if not 1 <= bits <= widest:
        raise form.error(f"bits = {bits}: must lie in 1..{widest}")
    match form.storage:
        case Storage.DENSE:
            return Dense(bits)
        case Storage.BITMAP:
            return Bitmap(bits)
        case Storage.RUN_LENGTH:
            return RunLength(bits)
        case Storage.RELATIVE_INDEX:
            return RelativeIndex(bits, form.index_bits)
        case Storage.CSR:
            return CompressedRows(bits, _needed(form, "shape", form.shape))
        case Storage.CSC:
            return CompressedColumns(bits, _needed(form, "shape", form.shape))
        case Storage.BLOCK:
            shape, block = _needed(form, "shape", form.shape), _needed(form, "block", form.block)
            return Blocks(bits, shape, block, grouped=form.grouped)


def _needed(form: Format, key: str, pair: Shape | None) -> Shape:
    if pair is None:
        raise form.error(f"needs {key} = (rows, columns)")
    return pair


def _checked(form: Storage | Format, values: NDArray[Any], bits: int) -> Integers:
    """The values in C order, once they are known to be integers of `bits` signed bits."""
    if not np.issubdtype(values.dtype, np.integer):
        raise InputError(f"values of type {values.dtype}: must be integers")
    limit = 1 << (bits - 1)
    for value in (int(values.min(initial=0)), int(values.max(initial=0))):
        if not -limit <= value < limit:
            raise InputError(f"value {value} does not fit in {bits} signed bits")
    _check_count(form, values.size)
    return values.astype(np.int64).ravel()


def _check_count(form: Storage | Format, count: int) -> None:
    if count < 0:
        raise InputError(f"count = {count}: must not be negative")
    shape = _format(form).shape
    if shape and prod(shape) != count:
        raise InputError(f"{count} values do not fill shape = {shape}")
