"""A chain of layers cut into tiles along one axis: what each layer makes and reads for each tile.

Rows (or columns) of the last ofmap are made tile by tile. Each layer makes the hull of what the
next one reads for the tile; where an axis is `cached`, without what it made for earlier tiles. A
hull never leaves the tensor, and holds one row even where a window lies in the padding altogether.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from hwsim.workload import Layer

Interval = tuple[int, int]
NONE: Interval = (0, 0)


class Axis(NamedTuple):
    """A layer along one axis: ofmap `bound`, ifmap `length` and `pad`, window, stride, dilation."""

    bound: int
    length: int
    window: int
    stride: int
    dilation: int
    pad: int

    def reach(self, made: Interval) -> Interval:
        """The hull of the ifmap that some of the ofmap reads, padding included."""
        first = made[0] * self.stride - self.pad
        last = (made[1] - 1) * self.stride - self.pad + (self.window - 1) * self.dilation
        return first, last + 1

    def read(self, made: Interval) -> Interval:
        """The same within the tensor."""
        first, end = self.reach(made)
        first = min(max(first, 0), self.length - 1)
        return first, max(first + 1, min(end, self.length))


def rows_of(layer: Layer) -> Axis:
    """A layer along its rows."""
    return Axis(layer.P, layer.H, layer.R, layer.stride_h, layer.dilation_h, layer.pad_h)


def columns_of(layer: Layer) -> Axis:
    """A layer along its columns."""
    return Axis(layer.Q, layer.W, layer.S, layer.stride_w, layer.dilation_w, layer.pad_w)


class Part(NamedTuple):
    """What a layer does for one tile: rows made of its ofmap, held of its ifmap while it does, and
    padding, of which a first row lies beyond the ifmap's edge and what a last one exceeds follows.

    Where the tile's padding is wider after it than before, the part is turned end to end.
    """

    made: int
    read: int
    pad: int


class Strips(NamedTuple):
    """A chain along one axis. Of each layer its parts, and how many tiles have each; of each
    layer's ifmap, rows that are `new` for a tile, and how many tiles have so many; the most rows
    that a tile reads (`box`), that wait for a later tile (`kept`), and all that are read (`span`).
    """

    tiles: int
    parts: tuple[Counter[Part], ...]
    new: tuple[Counter[int], ...]
    box: tuple[int, ...]
    kept: tuple[int, ...]
    span: tuple[int, ...]


@dataclass(frozen=True)
class _Step:
    """One tile of one layer: what it makes, reads, and had not read before."""

    made: Interval
    read: Interval
    new: Interval


def strips(axes: Sequence[Axis], tile: int, *, cached: bool, padded: bool) -> Strips:
    """The chain of these axes, first layer first, in tiles of `tile` of the last ofmap.

    `padded`: room is needed for padding too.
    """
    made = [(at, min(at + tile, axes[-1].bound)) for at in range(0, axes[-1].bound, tile)]
    layers: list[list[_Step]] = []
    for axis in reversed(axes):
        layers.insert(0, _steps(axis, made, cached=cached))
        made = [step.new for step in layers[0]]
    pairs = list(zip(axes, layers, strict=True))
    return Strips(
        tiles=len(made),
        parts=tuple(Counter(_parts(axis, steps)) for axis, steps in pairs),
        new=tuple(Counter(_length(s.new) for s in steps if s.new != NONE) for steps in layers),
        box=tuple(max(_room(axis, step, padded) for step in steps) for axis, steps in pairs),
        kept=tuple(_most_kept(steps) if cached else 0 for steps in layers),
        span=tuple(_span(axis, steps, padded) for axis, steps in pairs),
    )


def _steps(axis: Axis, tiles: Iterable[Interval], *, cached: bool) -> list[_Step]:
    steps, end = list[_Step](), 0
    for made in tiles:
        if made == NONE:
            steps.append(_Step(NONE, NONE, NONE))
            continue
        first, last = axis.read(made)
        begin = max(first, end) if cached else first
        steps.append(_Step(made, (first, last), (begin, last) if begin < last else NONE))
        end = max(end, last)
    return steps


def _parts(axis: Axis, steps: Iterable[_Step]) -> Iterable[Part]:
    for step in steps:
        if step.made != NONE:
            first, end = axis.reach(step.made)
            pad = max(0, -first, end - axis.length)
            yield Part(_length(step.made), _length(step.read), pad)


def _most_kept(steps: Sequence[_Step]) -> int:
    """The most that was read and is read again for a later tile."""
    most, begin = 0, None
    for step in reversed(steps):
        if step.made == NONE:
            continue
        most = max(most, 0 if begin is None else step.read[1] - begin)
        begin = step.read[0]
    return most


def _room(axis: Axis, step: _Step, padded: bool) -> int:
    if not padded or step.made == NONE:
        return _length(step.read)
    first, end = axis.reach(step.made)
    return max(_length(step.read), min(end, axis.length + axis.pad) - max(first, -axis.pad))


def _span(axis: Axis, steps: Sequence[_Step], padded: bool) -> int:
    reads = [step.read for step in steps if step.made != NONE]
    length = max(end for _, end in reads) - min(first for first, _ in reads)
    return length + 2 * axis.pad if padded else length


def _length(interval: Interval) -> int:
    return interval[1] - interval[0]
