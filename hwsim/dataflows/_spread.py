"""Dimensions spread over the array, and the tiles that the buffers above it hold."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from hwsim.dataflows._parts import (
    even_tile,
    fits,
    fitting,
    grid,
    inner_levels,
    keep,
    largest,
    nest,
    outer_levels,
    start,
)
from hwsim.hardware import Accelerator
from hwsim.mapping import Loop, Mapping, Node, tile_words
from hwsim.workload import DIMS, Layer

Extent = dict[str, int]


class Spread(NamedTuple):
    """How many instances each dimension takes along the columns' axis and the rows' axis."""

    across: Extent
    down: Extent

    def share(self, dim: str, bound: int) -> int:
        """What of a bound is left to one instance."""
        return -(-bound // (self.across[dim] * self.down[dim]))

    def tile(self, pad: Extent) -> Extent:
        """What the array works on at once where each instance has a tile `pad`."""
        return {dim: pad.get(dim, 1) * self.across[dim] * self.down[dim] for dim in DIMS}

    def loops(self, machine: Accelerator, pad: Extent) -> list[Node]:
        """The spatial loops, each instance being left a tile `pad`."""
        (x, _), (y, _) = grid(machine)
        rows = [Loop(d, pad.get(d, 1) * self.across[d], y) for d in DIMS if self.down[d] > 1]
        columns = [Loop(d, pad.get(d, 1), x) for d in DIMS if self.across[d] > 1]
        return [*rows, *columns]


def spreads(
    layer: Layer, machine: Accelerator, dims: Iterable[tuple[str, str]]
) -> Iterator[Spread]:
    """One spread for each (across, down): the dimension named first fills its axis first."""
    (_, columns), (_, rows) = grid(machine)
    known: list[Spread] = []
    for across_dims, down_dims in dims:
        across = _filled(layer.bounds, columns, across_dims)
        left = {dim: -(-bound // across[dim]) for dim, bound in layer.bounds.items()}
        spread = Spread(across, _filled(left, rows, down_dims))
        if spread not in known:
            known.append(spread)
            yield spread


def _filled(bounds: Extent, places: int, dims: str) -> Extent:
    counts = dict.fromkeys(DIMS, 1)
    for dim in dims:
        counts[dim] = even_tile(bounds[dim], places)
        places //= counts[dim]
    return counts


def widest(
    layer: Layer, machine: Accelerator, extent: Extent, dim: str, tensors: Iterable[str]
) -> int:
    """The most of `dim`, in whole tiles of `extent`, for which the tensors' tiles fit the buffers
    above the array, cut evenly; 0 if none does."""
    levels, unit = outer_levels(machine), extent[dim]

    def fit(units: int) -> bool:
        grown = cut(layer, extent | {dim: units * unit})
        return fits(levels, layer, {t: tile_words(layer, t, grown) for t in tensors})

    units = -(-layer.bounds[dim] // unit)
    most = largest(units, fit)
    return unit * even_tile(units, most) if most else 0


def widened(
    layer: Layer, machine: Accelerator, options: Iterable[tuple[Extent, str]]
) -> Iterator[Extent]:
    """Each (extent, dimension) with as much of the dimension as the buffers hold, first with the
    weights among what they keep, then without; left out where nothing fits."""
    for tensors in (("ifmap", "weight", "ofmap"), ("ifmap", "ofmap")):
        for extent, dim in options:
            most = widest(layer, machine, extent, dim, tensors)
            if most:
                yield extent | {dim: most}


def cut(layer: Layer, extent: Extent) -> Extent:
    """The extent within the layer's bounds."""
    return {dim: min(extent[dim], bound) for dim, bound in layer.bounds.items()}


def pad_tiles(
    layer: Layer, machine: Accelerator, spread: Spread, dims: str, least: Extent
) -> list[Extent]:
    """One word, and for each of `dims` the most of it that the pads hold beside `least`."""
    pads = inner_levels(machine)
    tiles: list[Extent] = [{}]
    for dim in dims:
        share = spread.share(dim, layer.bounds[dim])

        def fit(size: int, dim: str = dim) -> bool:
            extent = dict.fromkeys(DIMS, 1) | least | {dim: size}
            return fits(pads, layer, {t: tile_words(layer, t, extent) for t in layer.tensors})

        most = largest(share, fit)
        if most > 1:
            tiles.append({dim: even_tile(share, most)})
    return tiles


def fitting_or(
    layer: Layer, machine: Accelerator, candidates: Iterable[Mapping], last_resort: Mapping
) -> Iterator[Mapping]:
    """The candidates that fit or, where none does, the last resort if that fits."""
    found = list(fitting(layer, machine, candidates))
    yield from found or fitting(layer, machine, [last_resort])


def serial(layer: Layer, machine: Accelerator, order: str) -> Mapping:
    """One operation at a time in one PE, every memory keeping a single word of each tensor."""
    return nest(
        layer,
        [
            *start(layer, machine),
            *(Loop(dim, 1) for dim in order),
            *keep(outer_levels(machine), layer, *layer.tensors),
            *keep(inner_levels(machine), layer, *layer.tensors),
        ],
    )
