"""A chain of layers run tile by tile, as smaller layers, transfers into the buffer, and room.

Tile after tile of the last ofmap, images outermost and columns innermost, each layer makes its part
(`hwsim._strips`). What lies between two layers stays in the buffer and never goes to DRAM.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import product

from hwsim._strips import Axis, Part, Strips, columns_of, rows_of, strips
from hwsim.errors import InputError, MappingError
from hwsim.hardware import Accelerator
from hwsim.homes import Rooms, buffer
from hwsim.simulate import accumulated
from hwsim.workload import Layer, Op


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How a chain runs: `n` images, `p` rows and `q` columns of the last ofmap at a time.

    `rows_cached`, `columns_cached`: what the next strip of rows, or the next tile of a strip, reads
    again waits for it in the buffer, else it is made again. `loaded`: the first ifmap is copied to
    the buffer, where its halo waits likewise; else it is read from DRAM. `weights_kept`, by layer:
    all weights lie in their buffer for all tiles, else they are fetched for each.
    """

    n: int
    p: int
    q: int
    rows_cached: bool = False
    columns_cached: bool = False
    loaded: bool = False
    weights_kept: tuple[bool, ...]


@dataclass(frozen=True, kw_only=True)
class Piece:
    """What layer `place` of the chain does for each of `times` tiles: images, rows, columns."""

    place: int
    images: int
    rows: Part
    columns: Part
    times: int
    whole: Layer

    @cached_property
    def layer(self) -> Layer:
        """The piece as a layer of its own."""
        return replace(
            self.whole,
            N=self.images,
            P=self.rows.made,
            H=self.rows.read,
            pad_h=self.rows.pad,
            Q=self.columns.made,
            W=self.columns.read,
            pad_w=self.columns.pad,
        )


@dataclass(frozen=True, kw_only=True)
class Load:
    """A tensor of a layer that is copied from DRAM to the buffer, `times` over."""

    tensor: str
    layer: Layer
    times: int


@dataclass(frozen=True)
class Chain:
    """Consecutive layers on a machine, each but the first reading just what the one before makes.

    Tensors keep their densities, not their zeros, which tiles would cut apart. Raises InputError
    where the layers do not follow on one another, MappingError where no buffer holds both ifmaps
    and ofmaps.
    """

    layers: tuple[Layer, ...]
    machine: Accelerator

    def __post_init__(self) -> None:
        if len(self.layers) < 2:
            raise InputError("a chain has at least two layers")
        for before, after in zip(self.layers, self.layers[1:], strict=False):
            _check_follows(before, after)
        if buffer(self.machine, "ifmap", "ofmap") is None:
            raise MappingError(f"{self.machine.name}: no buffer holds both ifmaps and ofmaps")
        plain = tuple(_without_zeros(accumulated(layer, self.machine)) for layer in self.layers)
        object.__setattr__(self, "layers", plain)

    @property
    def name(self) -> str:
        """The layers' names."""
        return " + ".join(layer.name for layer in self.layers)

    @property
    def level(self) -> str:
        """The level whose memory holds what lies between the layers."""
        return buffer(self.machine, "ifmap", "ofmap") or ""

    @property
    def weight_level(self) -> str | None:
        """The level that may hold weights for all tiles."""
        return buffer(self.machine, "weight")

    def along(self, tile: int, *, rows: bool, cached: bool) -> Strips:
        """The chain cut along its rows, or else its columns."""
        axes = tuple((rows_of if rows else columns_of)(layer) for layer in self.layers)
        return _strips(axes, tile, cached, self.machine.stores_padding)

    def schedules(self, tiles: Sequence[tuple[int, int, int]] | None = None) -> Iterator[Schedule]:
        """Every schedule, of tiles (n, p, q) of all sizes or the given ones, none like another."""
        last = self.layers[-1]
        sizes = (range(1, bound + 1) for bound in (last.N, last.P, last.Q))
        for n, p, q in tiles or product(*sizes):
            for rows, columns in product(self._ways(p, rows=True), self._ways(q, rows=False)):
                for loaded, kept in product((False, True), self._weights_kept()):
                    yield Schedule(
                        n=n,
                        p=p,
                        q=q,
                        rows_cached=rows,
                        columns_cached=columns,
                        loaded=loaded,
                        weights_kept=kept,
                    )

    def _ways(self, tile: int, *, rows: bool) -> tuple[bool, ...]:
        """Whether to cache; the same where no tile reads what another one did."""
        uncached, cached = (self.along(tile, rows=rows, cached=way) for way in (False, True))
        return (False,) if cached == uncached else (False, True)

    def _weights_kept(self) -> Iterator[tuple[bool, ...]]:
        able = self.weight_level is not None
        ways = ((False, True) if layer.weighted and able else (False,) for layer in self.layers)
        return product(*ways)


@dataclass(frozen=True)
class Cut:
    """A chain under a schedule."""

    chain: Chain
    schedule: Schedule

    def strips(self) -> tuple[Strips, Strips]:
        """The chain along its rows and along its columns."""
        chosen = self.schedule
        return (
            self.chain.along(chosen.p, rows=True, cached=chosen.rows_cached),
            self.chain.along(chosen.q, rows=False, cached=chosen.columns_cached),
        )

    def images(self) -> tuple[tuple[int, int], ...]:
        """(images of a tile, how many tiles have so many)."""
        whole, rest = divmod(self.chain.layers[-1].N, self.schedule.n)
        return tuple((n, times) for n, times in ((self.schedule.n, whole), (rest, 1)) if n * times)

    def pieces(self, place: int) -> Iterator[Piece]:
        """What one layer does for all tiles, equal tiles once."""
        rows, columns = self.strips()
        parts = product(self.images(), rows.parts[place].items(), columns.parts[place].items())
        for (n, images), (down, ups), (across, sides) in parts:
            yield Piece(
                place=place,
                images=n,
                rows=down,
                columns=across,
                times=images * ups * sides,
                whole=self.chain.layers[place],
            )

    def loads(self) -> Iterator[Load]:
        """What is copied from DRAM to the buffers: weights once, the first ifmap tile by tile."""
        for layer, kept in zip(self.chain.layers, self.schedule.weights_kept, strict=True):
            if kept:
                yield Load(tensor="weight", layer=layer, times=1)
        if self.schedule.loaded:
            first, (rows, columns) = self.chain.layers[0], self.strips()
            parts = product(self.images(), rows.fetched.items(), columns.fetched.items())
            for (n, images), (down, ups), (across, sides) in parts:
                layer = _block(first, n, down, across)
                yield Load(tensor="ifmap", layer=layer, times=images * ups * sides)

    def homes(self, place: int) -> dict[str, str]:
        """Where a layer's tensors lie, but for those in DRAM."""
        level, last = self.chain.level, len(self.chain.layers) - 1
        homes = {"ifmap": level} if place or self.schedule.loaded else {}
        homes |= {"ofmap": level} if place < last else {}
        if self.schedule.weights_kept[place]:
            homes["weight"] = self.chain.weight_level or ""
        return homes

    def rooms(self, place: int) -> Rooms:
        """Bits of the buffers that no tile may use while a layer runs."""
        level, weight_level = self.chain.level, self.chain.weight_level or ""
        first = 0 if self.schedule.loaded else 1
        held = range(first, len(self.chain.layers))
        rooms = {(level, "ofmap"): sum(self._room_bits(tensor, place) for tensor in held)}
        rooms[weight_level, "weight"] = sum(
            layer.words("weight") * self._element_bits(weight_level, "weight", layer.weight.bits)
            for layer, kept in zip(self.chain.layers, self.schedule.weights_kept, strict=True)
            if kept
        )
        return {where: bits for where, bits in rooms.items() if bits}

    def _element_bits(self, level: str, tensor: str, bits: int) -> int:
        memory = self.chain.machine.level(level).memory(tensor)
        assert memory is not None
        return memory.element_bits(bits)

    def _room_bits(self, tensor: int, place: int) -> int:
        """Room for the ifmap of layer `tensor` while layer `place` runs.

        All that a tile reads of it, as psums while it is made, and what waits for later tiles
        beside; only what waits while neither its maker nor its reader runs.
        """
        layer, before = self.chain.layers[tensor], self.chain.layers[max(tensor - 1, 0)]
        memory = self.chain.machine.level(self.chain.level).memory("ofmap")
        assert memory is not None
        bits = memory.element_bits(max(layer.ifmap.bits, before.ofmap.bits if tensor else 0))
        rows, columns = self.strips()
        line = rows.again[tensor] if self.schedule.rows_cached else 0
        box = rows.box[tensor] * columns.box[tensor]
        beside = line * (columns.span[tensor] - columns.box[tensor])
        if place == tensor - 1:
            total = box * max(bits, memory.element_bits(before.psum.bits)) + beside * bits
        elif place == tensor:
            total = (box + beside) * bits
        else:
            total = self._waiting(tensor, line) * bits
        return self.schedule.n * layer.G * layer.C * total

    def _waiting(self, tensor: int, line: int) -> int:
        """What waits for later tiles: a line of rows, and of the columns that the next tile reads
        again all rows, or the lines of this strip and of the one before.
        """
        rows, columns = self.strips()
        again, height = columns.again[tensor], rows.box[tensor]
        if not self.schedule.columns_cached:
            height = min(height, 2 * line)
        return line * (columns.span[tensor] - again) + again * height


@lru_cache(maxsize=4096)
def _strips(axes: tuple[Axis, ...], tile: int, cached: bool, padded: bool) -> Strips:
    return strips(axes, tile, cached=cached, padded=padded)


def _check_follows(before: Layer, after: Layer) -> None:
    made = (before.N, before.G * before.K, before.P, before.Q)
    if after.operands != 1 or after.shape("ifmap") != made:
        raise InputError(
            f"layer {after.name!r} reads an ifmap of {after.shape('ifmap')}, "
            f"not the {made} that {before.name!r} makes"
        )


def _without_zeros(layer: Layer) -> Layer:
    return replace(
        layer,
        ifmap=replace(layer.ifmap, zeros=None),
        weight=replace(layer.weight, zeros=None),
        ofmap=replace(layer.ofmap, zeros=None),
    )


def _block(layer: Layer, n: int, rows: int, columns: int) -> Layer:
    """Some of a layer's ifmap as the ifmap of a layer that copies it."""
    return Layer(
        name=layer.name,
        op=Op.COPY,
        N=n,
        G=layer.G * layer.C,
        P=rows,
        Q=columns,
        ifmap=layer.ifmap,
        ofmap=layer.ifmap,
    )
