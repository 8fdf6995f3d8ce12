"""Small chains of layers, and a walk of their schedules element by element."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import product

from hypothesis import strategies as st

from hwsim._chain import Schedule
from hwsim.workload import Layer, Op

Element = tuple[int, int]
Block = frozenset[Element]
BITS = 8


@st.composite
def chains(draw: st.DrawFn) -> tuple[Layer, ...]:
    """Two or three layers, one perhaps a pool, of any windows, strides, dilations and padding."""
    n, channels = draw(st.integers(1, 2)), draw(st.integers(1, 2))
    H, W = draw(st.integers(4, 8)), draw(st.integers(4, 7))
    layers = []
    for index in range(draw(st.integers(2, 3))):
        sides = [_side(draw, size) for size in (H, W)]
        (R, stride_h, dilation_h, pad_h, P), (S, stride_w, dilation_w, pad_w, Q) = sides
        pools = draw(st.integers(0, 3)) == 0
        filters = 1 if pools else draw(st.integers(1, 2))
        layer = Layer(
            name=f"layer {index}",
            op=Op.POOL if pools else Op.CONV,
            N=n,
            G=channels if pools else 1,
            K=filters,
            C=1 if pools else channels,
            P=P,
            Q=Q,
            R=R,
            S=S,
            H=H,
            W=W,
            stride_h=stride_h,
            stride_w=stride_w,
            dilation_h=dilation_h,
            dilation_w=dilation_w,
            pad_h=pad_h,
            pad_w=pad_w,
        )
        layers.append(layer.at_bits(ifmap=BITS, weight=BITS, ofmap=BITS, psum=BITS))
        channels, H, W = layer.G * layer.K, P, Q
    return tuple(layers)


def _side(draw: st.DrawFn, size: int) -> tuple[int, int, int, int, int]:
    """(window, stride, dilation, pad, ofmap length) of a layer on an ifmap of a length."""
    window, stride, dilation = (draw(st.integers(1, 3)) for _ in range(3))
    dilation = min(dilation, 2)
    hull = (window - 1) * dilation + 1
    pad = draw(st.integers(0, hull // 2))
    if hull > size + 2 * pad:
        window, hull = 1, 1
        pad = 0
    return window, stride, dilation, pad, (size + 2 * pad - hull) // stride + 1


@dataclass
class Walk:
    """A schedule walked tile by tile and element by element, of one channel of one image.

    `made`, `read` and `touched` count, by layer, elements of its ofmap that it makes, of its ifmap
    in the hull of what it reads, and those that windows really fall on. `copied`: elements of the
    first ifmap that come to the buffer anew. `live`: by (tensor, layer that runs), the most that
    must be in the buffer.
    """

    layers: tuple[Layer, ...]
    schedule: Schedule
    padded: bool
    made: Counter[int] = field(default_factory=Counter)
    touched: Counter[int] = field(default_factory=Counter)
    copied: int = 0
    live: Counter[tuple[int, int]] = field(default_factory=Counter)
    rooms: list[list[Block]] = field(default_factory=list)

    def run(self) -> "Walk":
        for place, made, copied in self.parts():
            self.made[place] += len(made)
            touched = inside(self.layers[place], under(self.layers[place], made), self.padded)
            self.touched[place] += len(touched)
            self.copied += copied
        for tensor, tiles in enumerate(self.rooms):
            self._count_live(tensor, tiles)
        return self

    def parts(self) -> Iterator[tuple[int, Block, int]]:
        """(layer, what it makes, elements copied for it), tile by tile, last layer first."""
        last = self.layers[-1]
        self.rooms = [[] for _ in self.layers]
        earlier: list[set[Element]] = [set() for _ in self.layers]  # of the strips above
        for strip in cuts(last.P, self.schedule.p):
            beside: list[set[Element]] = [set() for _ in self.layers]  # of this strip
            for across in cuts(last.Q, self.schedule.q):
                made = frozenset(product(strip, across))
                for place in range(len(self.layers) - 1, -1, -1):
                    known = earlier[place] if self.schedule.rows_cached else set()
                    known = known | (beside[place] if self.schedule.columns_cached else set())
                    reached = hull(under(self.layers[place], made))
                    room = inside(self.layers[place], reached, self.padded)
                    yield place, made, len(room - known) if place == 0 else 0
                    self.rooms[place].append(room)
                    beside[place] |= room
                    made = inside(self.layers[place], reached, False) - known
            earlier = [above | strip for above, strip in zip(earlier, beside, strict=True)]

    def _count_live(self, tensor: int, tiles: list[Block]) -> None:
        """What of a tensor is in the buffer: a tile's, and what was there that a later tile reads
        again, if what it reads waits for it."""
        columns = len(cuts(self.layers[-1].Q, self.schedule.q))
        for now, tile in enumerate(tiles):
            before: Block = frozenset().union(*tiles[:now])
            waits: set[Element] = set()
            for later in range(now + 1, len(tiles)):
                same_strip = later // columns == now // columns
                if self.schedule.columns_cached and same_strip:
                    waits |= tiles[later] & (
                        tile | frozenset().union(*tiles[now - now % columns : now])
                    )
                if self.schedule.rows_cached:
                    strip_start = later - later % columns
                    waits |= tiles[later] & frozenset().union(*tiles[: min(strip_start, now + 1)])
            kept_before = frozenset(waits) & before
            for place in (tensor - 1, tensor):
                self._most((tensor, place), len(tile | kept_before))
            self._most((tensor, -2), len(waits))

    def _most(self, key: tuple[int, int], count: int) -> None:
        self.live[key] = max(self.live[key], count)


def cuts(bound: int, tile: int) -> list[range]:
    return [range(bound)[at : at + tile] for at in range(0, bound, tile)]


def under(layer: Layer, made: Block) -> Block:
    """Where the windows of ofmap points fall on the ifmap, and beyond its edges."""
    return frozenset(
        (
            p * layer.stride_h + r * layer.dilation_h - layer.pad_h,
            q * layer.stride_w + s * layer.dilation_w - layer.pad_w,
        )
        for p, q in made
        for r, s in product(range(layer.R), range(layer.S))
    )


def inside(layer: Layer, elements: Block, padded: bool) -> Block:
    pad_h, pad_w = (layer.pad_h, layer.pad_w) if padded else (0, 0)
    rows, columns = range(-pad_h, layer.H + pad_h), range(-pad_w, layer.W + pad_w)
    return frozenset(x for x in elements if x[0] in rows and x[1] in columns)


def hull(elements: Block) -> Block:
    """The smallest block that holds them."""
    if not elements:
        return elements
    rows, columns = (range(min(side), max(side) + 1) for side in zip(*elements, strict=True))
    return frozenset(product(rows, columns))


def cut_out(layer: Layer, n: int, made: Block) -> Layer:
    """The layer that makes a block of the ofmap of another; turned round where padding is below."""
    P, Q = (len(set(side)) for side in zip(*made, strict=True))
    reached = hull(under(layer, made))
    (H, pad_h), (W, pad_w) = (
        _cut_side({x[axis] for x in reached}, {x[axis] for x in inside(layer, reached, False)})
        for axis in (0, 1)
    )
    return replace(layer, N=n, P=P, Q=Q, H=H, W=W, pad_h=pad_h, pad_w=pad_w)


def _cut_side(reached: set[int], read: set[int]) -> tuple[int, int]:
    """(rows of ifmap, rows of padding on the side where there are more)."""
    return len(read), max(min(read) - min(reached), max(reached) - max(read))
