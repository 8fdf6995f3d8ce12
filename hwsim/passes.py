"""How a mapping falls into passes, and how much of every transfer each pass moves.

A pass is one execution of what follows the first loops: those up to the innermost one that refills
a `single` buffer (on the Eyeriss chip exactly the paper's processing pass) or, without any, those
before the outermost PE. Passes that do the same are of one kind, and there are few kinds.

Totals are those of `hwsim.traffic`. Each is divided over the passes in proportion to the words that
are new in the pass: exactly where tiles are uniform; at ragged edges the sum alone is exact.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import prod

import numpy as np
from numpy.typing import NDArray

from hwsim._nest import states
from hwsim.hardware import Accelerator
from hwsim.latency import fills, restarts
from hwsim.mapping import Loop, Mapping, Store
from hwsim.reuse import executions, refilling
from hwsim.traffic import Transfer
from hwsim.workload import DIMS, RELEVANT, Layer

Array1D = NDArray[np.int64]
Array2D = NDArray[np.int64]
MOST_PASSES = 2**17
WINDOWS = ("P", "R", "Q", "S")


@dataclass(frozen=True, kw_only=True)
class Passes:
    """Every pass by its kind, and what a pass of each kind does.

    `order` [passes] holds kinds; `steps` [kinds] compute steps; `inward` and `outward` [transfers,
    kinds] shares of each transfer's total towards and from the MACs. The first and the last pass
    are of kinds of their own. `starts`: the pipeline starts anew in each pass, or only once.
    """

    order: Array1D
    steps: tuple[int, ...]
    inward: tuple[tuple[Fraction, ...], ...]
    outward: tuple[tuple[Fraction, ...], ...]
    starts: int


@dataclass(frozen=True)
class _Extent:
    """One dimension in every pass: an instance's tile, and what all instances cover together."""

    first: Array1D
    length: Array1D
    covered: Array1D
    spread: Array1D


def passes(
    layer: Layer, mapping: Mapping, machine: Accelerator, moves: Sequence[Transfer]
) -> Passes:
    """The passes of a mapped layer whose transfers are known."""
    starts = restarts(layer, mapping, moves)
    cut = fills(layer, mapping, moves) if starts > 1 else _coarse(layer, mapping, machine)
    walk = _Walk(layer, mapping, machine, cut)
    columns = [walk.ends, walk.steps]
    for move in moves:
        columns += walk.weights(move)
    table, order = distinct_rows(columns)
    shares = [_shares(column, np.bincount(order)) for column in table.T[2:]]
    return Passes(
        order=order,
        steps=tuple(table[:, 1].tolist()),
        inward=tuple(shares[::2]),
        outward=tuple(shares[1::2]),
        starts=starts,
    )


def distinct_rows(columns: Sequence[Array1D]) -> tuple[Array2D, Array1D]:
    """The different rows of a table given by its columns, sorted, and which of them each row is."""
    found = np.zeros(len(columns[0]), np.int64)
    for column in columns:
        values, ranks = np.unique(column, return_inverse=True)
        if len(values) > 1:
            _, found = np.unique(found * len(values) + ranks, return_inverse=True)
    _, first = np.unique(found, return_index=True)
    return np.stack([column[first] for column in columns], axis=1), found


def _shares(weights: Array1D, counts: Array1D) -> tuple[Fraction, ...]:
    """Weights of the kinds as shares of the sum over all passes."""
    total = sum(w * n for w, n in zip(weights.tolist(), counts.tolist(), strict=True))
    return tuple(Fraction(weight, total or 1) for weight in weights.tolist())


def _coarse(layer: Layer, mapping: Mapping, machine: Accelerator) -> int:
    """Loops before the outermost PE or pad, or fewer where passes would be too many."""
    count = 0
    for node in mapping:
        if isinstance(node, Store):
            if machine.level(node.level).component == "spad":
                break
        elif node.axis:
            break
        else:
            count += 1
    while executions(layer, mapping, count) > MOST_PASSES:
        count -= 1
    return count


class _Walk:
    """The first `cut` loops of a mapping at every pass; arrays are [passes]."""

    def __init__(self, layer: Layer, mapping: Mapping, machine: Accelerator, cut: int) -> None:
        self._layer, self._mapping, self._loops = layer, mapping, mapping.loops
        self._cut = cut
        self._padding = machine.stores_padding
        self._indices = _odometer(layer, mapping.loops[:cut])
        self._now = self._extents(cut)

    @property
    def ends(self) -> Array1D:
        """1 at the first pass, 2 at the last, 3 where it is both, and 0."""
        found = np.zeros(len(self._indices), np.int64)
        found[0] += 1
        found[-1] += 2
        return found

    @property
    def steps(self) -> Array1D:
        """Compute steps."""
        return self._repeats(DIMS, len(self._loops))

    def weights(self, move: Transfer) -> tuple[Array1D, Array1D]:
        """What moves in proportion: towards the MACs, and away from them."""
        depth = refilling(self._layer, self._mapping, move.tensor, move.above_child)
        if move.child is None:
            dims = RELEVANT[move.tensor]
            words = np.asarray(prod(self._now[dim].covered for dim in dims))
            inward, outward = self._streamed(move.tensor, words, len(self._loops))
        elif depth > self._cut:
            words = self._words(move.tensor, self._now)
            inward, outward = self._streamed(move.tensor, words, depth)
        else:
            inward, outward = self._kept(move.tensor, move.above_child, depth)
        return inward if move.link.delivered else np.zeros_like(inward), outward

    def _streamed(self, tensor: str, words: Array1D, count: int) -> tuple[Array1D, Array1D]:
        """A tensor whose tile changes within a pass, or that is not kept: words, over again for
        every step of what it does not depend on."""
        repeats = self._repeats(set(DIMS) - RELEVANT[tensor], count)
        if tensor != "ofmap":
            return words * repeats, np.zeros_like(words)
        back = repeats - self._unvisited(count)
        return words * (back if back.any() else repeats), words * repeats

    def _kept(self, tensor: str, count: int, depth: int) -> tuple[Array1D, Array1D]:
        """A tensor whose tile changes between passes only, with the first `depth` loops: words that
        come, and that leave."""
        extents = self._extents(count)
        words = self._words(tensor, extents)
        comes = (self._indices[:, depth:] == 0).all(axis=1)
        if tensor != "ofmap":
            goes_on = comes & (self._indices[:, :depth][:, -1:] > 0).any(axis=1)
            come = words * comes - self._held(tensor, words, extents) * goes_on
            return come, np.zeros_like(come)
        come = words * comes
        back = come * (1 - self._unvisited(count))
        return (back if back.any() else come), words * np.roll(comes, -1)

    def _unvisited(self, count: int) -> Array1D:
        """1 where psums are seen for the first time: no reduced loop outside has advanced."""
        columns = [
            index
            for index, loop in enumerate(self._loops[: min(count, self._cut)])
            if loop.dim not in RELEVANT["ofmap"]
        ]
        return np.asarray((self._indices[:, columns] == 0).all(axis=1), np.int64)

    def _extents(self, count: int) -> dict[str, _Extent]:
        """Each dimension inside the first `count` loops, of which passes tell `cut` apart."""
        one = np.ones(len(self._indices), np.int64)
        found = {
            dim: _Extent(0 * one, bound * one, bound * one, one)
            for dim, bound in self._layer.bounds.items()
        }
        for column, loop in enumerate(self._loops[:count]):
            if loop.axis:
                found[loop.dim] = _spread(found[loop.dim], loop.tile)
            elif column < self._cut:
                found[loop.dim] = _taken(found[loop.dim], loop.tile, self._indices[:, column])
        return found

    def _words(self, tensor: str, extents: dict[str, _Extent]) -> Array1D:
        """Words of a tensor that all instances cover together."""
        intervals = self._intervals(tensor, extents)
        return np.asarray(prod(covered for _, _, covered in intervals))

    def _intervals(
        self, tensor: str, extents: dict[str, _Extent]
    ) -> Iterator[tuple[Array1D, Array1D, Array1D]]:
        """Along each axis of a tensor: an instance's first index and length, and what all cover."""
        for dim in RELEVANT[tensor]:
            if tensor != "ifmap" or dim not in WINDOWS:
                yield extents[dim].first, extents[dim].length, extents[dim].covered
        if tensor == "ifmap":
            layer = self._layer
            rows = layer.stride_h, layer.dilation_h, layer.pad_h, layer.H
            columns = layer.stride_w, layer.dilation_w, layer.pad_w, layer.W
            yield self._window(extents["P"], extents["R"], *rows)
            yield self._window(extents["Q"], extents["S"], *columns)

    def _window(
        self, tile: _Extent, window: _Extent, stride: int, dilation: int, pad: int, size: int
    ) -> tuple[Array1D, Array1D, Array1D]:
        """Ifmap rows or columns under ofmap and filter ones."""
        first = tile.first * stride + window.first * dilation
        low, high = (0, size + 2 * pad) if self._padding else (pad, size + pad)
        start = np.clip(first, low, high)

        def clipped(major: Array1D, minor: Array1D) -> Array1D:
            hull = (major - 1) * stride + (minor - 1) * dilation + 1
            return np.asarray(np.minimum(np.clip(first + hull, low, high) - start, major * minor))

        covered = clipped(tile.covered, window.covered)
        return start, clipped(tile.length, window.length), covered

    def _held(self, tensor: str, words: Array1D, extents: dict[str, _Extent]) -> Array1D:
        """Of a tile's words, those that the tile of the pass before has too."""
        own, both = np.ones_like(words), np.ones_like(words)
        for first, length, _ in self._intervals(tensor, extents):
            end = first + length
            own *= length
            both[1:] *= np.maximum(
                np.minimum(end[1:], end[:-1]) - np.maximum(first[1:], first[:-1]), 0
            )
        return np.asarray(words * both // np.maximum(own, 1))

    def _repeats(self, dims: Sequence[str] | set[str], count: int) -> Array1D:
        """Executions, in a pass, of what follows the first `count` loops, by some dimensions."""
        found = np.ones(len(self._indices), np.int64)
        for dim in dims:
            tiles = [loop for loop in self._loops[self._cut : count] if loop.dim == dim]
            found *= _times(self._now[dim].length, tiles)
        return found


def _odometer(layer: Layer, loops: Sequence[Loop]) -> Array2D:
    """The temporal loops' indices at every pass; spatial loops show 0."""
    table = np.zeros((1, 0), np.int64)
    length = {dim: np.array([bound], np.int64) for dim, bound in layer.bounds.items()}
    for loop in loops:
        rest = length[loop.dim]
        trips = np.ones_like(rest) if loop.axis else -(-rest // loop.tile)
        rows = np.repeat(np.arange(len(table)), trips)
        index = np.arange(len(rows)) - np.repeat(np.cumsum(trips) - trips, trips)
        length = {dim: values[rows] for dim, values in length.items()}
        rest = length[loop.dim] - index * loop.tile
        length[loop.dim] = np.minimum(rest, loop.tile)
        table = np.column_stack((table[rows], index))
    return table


def _taken(extent: _Extent, tile: int, index: Array1D) -> _Extent:
    """Tile `index` in time."""
    length = np.minimum(extent.length - index * tile, tile)
    covered = np.minimum(extent.covered, extent.spread * length)
    return _Extent(extent.first + index * tile, length, covered, extent.spread)


def _spread(extent: _Extent, tile: int) -> _Extent:
    """The first instance's tile in space, and how many instances have one."""
    places = -(-extent.length // tile)
    length = np.minimum(extent.length, tile)
    return _Extent(extent.first, length, extent.covered, extent.spread * places)


def _times(lengths: Array1D, loops: Sequence[Loop]) -> Array1D:
    """Temporal steps that one dimension's loops take through each of several lengths."""
    cuts = tuple((loop.tile, not loop.axis) for loop in loops)
    distinct, where = np.unique(lengths, return_inverse=True)
    return np.array([states(n, cuts) for n in distinct.tolist()], np.int64)[where.reshape(-1)]
