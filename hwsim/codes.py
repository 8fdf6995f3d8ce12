"""The bit streams behind the storage formats; `hwsim.sparsity` says what each one holds.

A code is made for values of one width, signed, in two's complement. A field lies with its least
significant bit first.
"""

from abc import ABC, abstractmethod
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.bitstream import Bits, Integers, fields, padded, to_bits, to_signed, to_unsigned

RUN_BITS = 5
WORD_BITS = 64

Shape = tuple[int, int]


class Code(ABC):
    """A storage format for values of one width."""

    widest = 64

    def __init__(self, bits: int) -> None:
        self.bits = bits

    @abstractmethod
    def expected_bits(self, density: float) -> float:
        """Expected bits an element."""

    @abstractmethod
    def encoded_bits(self, values: NDArray[Any]) -> int:
        """Exact bits of the stream of these values, or of any that are non-zero where these are."""

    @abstractmethod
    def encode(self, values: Integers) -> Bits:
        """The stream, one bit an element."""

    @abstractmethod
    def decode(self, stream: Bits, count: int) -> Integers:
        """The values of a stream; whatever comes to hand, of `count` values, if it is broken."""


class Dense(Code):
    """Every value."""

    def expected_bits(self, density: float) -> float:
        return float(self.bits)

    def encoded_bits(self, values: NDArray[Any]) -> int:
        return values.size * self.bits

    def encode(self, values: Integers) -> Bits:
        return to_bits(values, self.bits).ravel()

    def decode(self, stream: Bits, count: int) -> Integers:
        return to_signed(fields(stream, count, self.bits))


class Bitmap(Code):
    """One bit an element, then the non-zero values."""

    def expected_bits(self, density: float) -> float:
        return 1 + density * self.bits

    def encoded_bits(self, values: NDArray[Any]) -> int:
        return values.size + int(np.count_nonzero(values)) * self.bits

    def encode(self, values: Integers) -> Bits:
        mask = values != 0
        return np.concatenate((mask.astype(np.uint8), to_bits(values[mask], self.bits).ravel()))

    def decode(self, stream: Bits, count: int) -> Integers:
        values = np.zeros(count, np.int64)
        mask = padded(stream, count).astype(bool)
        values[mask] = to_signed(fields(stream[count:], int(mask.sum()), self.bits))
        return values


class RelativeIndex(Code):
    """Pairs of a run of zeros, `index_bits` wide, and the value behind it.

    The last element always ends a run, so that a stream tells how many values it holds.
    """

    def __init__(self, bits: int, index_bits: int) -> None:
        super().__init__(bits)
        self.index_bits = index_bits
        self.pair_bits = index_bits + bits

    @property
    def elements_per_pair(self) -> int:
        """The most elements that one pair covers."""
        return 1 << self.index_bits

    def expected_bits(self, density: float) -> float:
        return self.pair_bits / self._mean_elements_per_pair(density)

    def _mean_elements_per_pair(self, density: float) -> float:
        # 1 + z + ... + z^(elements - 1), z the share of zeros: a pair reaches its i-th element if
        # those before it are zeros.
        return prod(1 + (1 - density) ** (1 << i) for i in range(self.index_bits))

    def encoded_bits(self, values: NDArray[Any]) -> int:
        return self._pairs(values) * self.pair_bits

    def _pairs(self, values: NDArray[Any]) -> int:
        _, gaps = _gaps(values)
        return int((gaps // self.elements_per_pair + 1).sum())

    def encode(self, values: Integers) -> Bits:
        ends, gaps = _gaps(values)
        at = np.cumsum(gaps // self.elements_per_pair + 1) - 1
        pairs = int(at[-1]) + 1 if at.size else 0
        runs = np.full(pairs, self.elements_per_pair - 1)
        runs[at] = gaps % self.elements_per_pair
        levels = np.zeros(pairs, np.int64)
        levels[at] = values[ends]
        columns = (to_bits(runs, self.index_bits), to_bits(levels, self.bits))
        return self._pack(np.hstack(columns))

    def decode(self, stream: Bits, count: int) -> Integers:
        pairs = self._unpack(stream)
        ends = np.cumsum(to_unsigned(pairs[:, : self.index_bits]) + 1) - 1
        inside = ends < count
        values = np.zeros(count, np.int64)
        values[ends[inside]] = to_signed(pairs[inside, self.index_bits :])
        return values

    def _pack(self, pairs: Bits) -> Bits:
        """The stream of pairs [pair, bit]."""
        return pairs.ravel()

    def _unpack(self, stream: Bits) -> Bits:
        """The pairs [pair, bit] of a stream; filled-up bits may pass for pairs without a run."""
        return fields(stream, -(-stream.size // self.pair_bits), self.pair_bits)


class RunLength(RelativeIndex):
    """The same in words of 64 bits, the last bit of which flags the last word."""

    widest = WORD_BITS - 1 - RUN_BITS

    def __init__(self, bits: int) -> None:
        super().__init__(bits, RUN_BITS)
        self.pairs_per_word = (WORD_BITS - 1) // self.pair_bits

    def expected_bits(self, density: float) -> float:
        return WORD_BITS / (self.pairs_per_word * self._mean_elements_per_pair(density))

    def encoded_bits(self, values: NDArray[Any]) -> int:
        return self._words(self._pairs(values)) * WORD_BITS

    def _words(self, pairs: int) -> int:
        return -(-pairs // self.pairs_per_word)

    def _pack(self, pairs: Bits) -> Bits:
        words = np.zeros((self._words(len(pairs)), WORD_BITS), np.uint8)
        used = self.pairs_per_word * self.pair_bits
        words[:, :used] = fields(pairs.ravel(), len(words), used)
        words[-1:, -1] = 1
        return words.ravel()

    def _unpack(self, stream: Bits) -> Bits:
        words = fields(stream, stream.size // WORD_BITS, WORD_BITS)
        return words[:, : self.pairs_per_word * self.pair_bits].reshape(-1, self.pair_bits)


class CompressedRows(Code):
    """Where each row begins, each non-zero's column, the non-zeros."""

    def __init__(self, bits: int, shape: Shape) -> None:
        super().__init__(bits)
        self.rows, self.columns = shape
        self.pointer_bits = prod(shape).bit_length()
        self.column_bits = (self.columns - 1).bit_length()

    def expected_bits(self, density: float) -> float:
        elements = self.rows * self.columns
        return self._bits(elements * density) / elements

    def encoded_bits(self, values: NDArray[Any]) -> int:
        return int(self._bits(int(np.count_nonzero(values))))

    def _bits(self, nonzero: float) -> float:
        return (self.rows + 1) * self.pointer_bits + nonzero * (self.column_bits + self.bits)

    def encode(self, values: Integers) -> Bits:
        matrix = self._rows(values)
        row, column = np.nonzero(matrix)
        pointers = np.searchsorted(row, np.arange(self.rows + 1))
        parts = (
            to_bits(pointers, self.pointer_bits),
            to_bits(column, self.column_bits),
            to_bits(matrix[row, column], self.bits),
        )
        return np.concatenate([part.ravel() for part in parts])

    def decode(self, stream: Bits, count: int) -> Integers:
        pointers = to_unsigned(fields(stream, self.rows + 1, self.pointer_bits))
        rest, nonzero = stream[pointers.size * self.pointer_bits :], int(pointers[-1])
        column = to_unsigned(fields(rest, nonzero, self.column_bits))
        value = to_signed(fields(rest[nonzero * self.column_bits :], nonzero, self.bits))
        row = np.searchsorted(pointers[1:], np.arange(nonzero), side="right")
        inside = (row < self.rows) & (column < self.columns)
        matrix = np.zeros((self.rows, self.columns), np.int64)
        matrix[row[inside], column[inside]] = value[inside]
        return self._values(matrix)

    def _rows(self, values: Integers) -> Integers:
        """The matrix whose rows are compressed."""
        return values.reshape(self.rows, self.columns)

    def _values(self, matrix: Integers) -> Integers:
        """What `_rows` was given."""
        return matrix.ravel()


class CompressedColumns(CompressedRows):
    """The same of the transposed matrix."""

    def __init__(self, bits: int, shape: Shape) -> None:
        super().__init__(bits, (shape[1], shape[0]))

    def _rows(self, values: Integers) -> Integers:
        return values.reshape(self.columns, self.rows).T

    def _values(self, matrix: Integers) -> Integers:
        return matrix.T.ravel()


class Blocks(Code):
    """One bit a block, then the blocks that hold a non-zero, whole; `grouped` zeros fill blocks.

    Blocks at the lower and right edges are filled up with zeros.
    """

    def __init__(self, bits: int, shape: Shape, block: Shape, *, grouped: bool) -> None:
        super().__init__(bits)
        self.shape, self.block, self.grouped = shape, block, grouped
        self.grid = tuple(-(-size // step) for size, step in zip(shape, block, strict=True))
        self.block_bits = prod(block) * bits

    def expected_bits(self, density: float) -> float:
        (rows, row_blocks), (columns, column_blocks) = map(_sizes, self.shape, self.block)
        free = 1 if self.grouped else np.multiply.outer(rows, columns)
        blocks = np.multiply.outer(row_blocks, column_blocks)
        kept = float((blocks * (1 - (1 - density) ** free)).sum())
        return (prod(self.grid) + kept * self.block_bits) / prod(self.shape)

    def encoded_bits(self, values: NDArray[Any]) -> int:
        kept = int(self._blocks(values).any(axis=1).sum())
        return prod(self.grid) + kept * self.block_bits

    def encode(self, values: Integers) -> Bits:
        blocks = self._blocks(values)
        mask = blocks.any(axis=1)
        packed = to_bits(blocks[mask].ravel(), self.bits)
        return np.concatenate((mask.astype(np.uint8), packed.ravel()))

    def decode(self, stream: Bits, count: int) -> Integers:
        blocks = np.zeros((prod(self.grid), prod(self.block)), np.int64)
        mask = padded(stream, len(blocks)).astype(bool)
        kept = int(mask.sum()) * prod(self.block)
        packed = fields(stream[len(blocks) :], kept, self.bits)
        blocks[mask] = to_signed(packed).reshape(-1, prod(self.block))
        tiles = blocks.reshape(*self.grid, *self.block).swapaxes(1, 2)
        filled = tiles.reshape(self.grid[0] * self.block[0], self.grid[1] * self.block[1])
        return filled[: self.shape[0], : self.shape[1]].ravel()

    def _blocks(self, values: NDArray[Any]) -> NDArray[Any]:
        """The blocks [block, element], in C order."""
        steps = zip(self.grid, self.block, self.shape, strict=True)
        edges = [(0, count * step - size) for count, step, size in steps]
        filled = np.pad(values.reshape(self.shape), edges)
        tiles = filled.reshape(self.grid[0], self.block[0], self.grid[1], self.block[1])
        return tiles.swapaxes(1, 2).reshape(prod(self.grid), prod(self.block))


def _sizes(size: int, step: int) -> tuple[Integers, Integers]:
    """Of pieces of `step` that fill `size`, the last maybe less: their sizes, and how many each."""
    return np.unique(np.minimum(step, size - np.arange(0, size, step)), return_counts=True)


def _gaps(values: NDArray[Any]) -> tuple[Integers, Integers]:
    """Where runs of zeros end, and the zeros before each end; the last element always ends one."""
    ends = np.flatnonzero(values)
    if values.size and not values[-1]:
        ends = np.append(ends, values.size - 1)
    return ends, np.diff(ends, prepend=-1) - 1
