"""A chain of layers cut into tiles along one axis: what each layer makes and reads for each tile.

Rows (or columns) of the last ofmap are made tile by tile. Each layer makes the hull of what the
next one reads for the tile; where an axis is `cached`, without what it made for earlier tiles. A
hull never leaves the tensor, and holds one row even where a window lies in the padding altogether.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from hwsim.workload import LARGEST_SIZE, Layer

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

    def read_padded(self, made: Interval) -> Interval:
        """The same with the padding that is reached."""
        (first, end), (begin, last) = self.reach(made), self.read(made)
        return min(max(first, -self.pad), begin), max(last, min(end, self.length + self.pad))


def rows_of(layer: Layer) -> Axis:
    """A layer along its rows."""
    return Axis(layer.P, layer.H, layer.R, layer.stride_h, layer.dilation_h, layer.pad_h)


def columns_of(layer: Layer) -> Axis:
    """A layer along its columns."""
    return Axis(layer.Q, layer.W, layer.S, layer.stride_w, layer.dilation_w, layer.pad_w)


class Part(NamedTuple):
    """What a layer does for one tile: rows `made` of its ofmap and `read` of its ifmap, and `pad`
    rows of padding before them.

    What the windows reach beyond the rows read is padding too. Where that is more than lies before
    them the part is turned end to end, which changes no count.
    """

    made: int
    read: int
    pad: int


class Strips(NamedTuple):
    """A chain along one axis.

    Of each layer its `parts`, and how many tiles have each; of each layer's ifmap the most rows
    that a tile reads (`box`), that a later one reads again (`again`), and all that are read
    (`span`). `fetched`: rows of the first ifmap that a tile copies from outside, and how many tiles
    copy so many. In the last four padding counts where it is kept like data.
    """

    parts: tuple[Counter[Part], ...]
    fetched: Counter[int]
    box: tuple[int, ...]
    again: tuple[int, ...]
    span: tuple[int, ...]


class _Step(NamedTuple):
    """One tile of one layer: what it makes, reads, and had not read before."""

    made: Interval
    read: Interval
    new: Interval


def strips(axes: Sequence[Axis], tile: int, *, cached: bool, padded: bool) -> Strips:
    """The chain of these axes, first layer first, in tiles of `tile` of the last ofmap.

    `padded`: padding is kept like data.
    """
    made = [(at, min(at + tile, axes[-1].bound)) for at in range(0, axes[-1].bound, tile)]
    layers: list[list[_Step]] = []
    for axis in reversed(axes):
        layers.insert(0, _steps(axis.read, made, cached))
        made = [step.new for step in layers[0]]
    rooms = [
        _steps(axis.read_padded if padded else axis.read, [step.made for step in steps], cached)
        for axis, steps in zip(axes, layers, strict=True)
    ]
    return Strips(
        parts=tuple(Counter(_parts(axis, steps)) for axis, steps in zip(axes, layers, strict=True)),
        fetched=Counter(_length(step.new) for step in rooms[0] if step.new != NONE),
        box=tuple(max(_length(step.read) for step in steps) for steps in rooms),
        again=tuple(_most_again(steps) for steps in rooms),
        span=tuple(_span(steps) for steps in rooms),
    )


def _steps(
    read: Callable[[Interval], Interval], tiles: Iterable[Interval], cached: bool
) -> list[_Step]:
    steps, end = list[_Step](), -LARGEST_SIZE
    for made in tiles:
        if made == NONE:
            steps.append(_Step(NONE, NONE, NONE))
            continue
        first, last = read(made)
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


def _most_again(steps: Sequence[_Step]) -> int:
    """The most that was read for one tile and is read again for a later one."""
    most, begin = 0, None
    for step in reversed(steps):
        if step.made == NONE:
            continue
        most = max(most, 0 if begin is None else step.read[1] - begin)
        begin = step.read[0]
    return most


def _span(steps: Sequence[_Step]) -> int:
    reads = [step.read for step in steps if step.made != NONE]
    return max(end for _, end in reads) - min(first for first, _ in reads)


def _length(interval: Interval) -> int:
    return interval[1] - interval[0]
