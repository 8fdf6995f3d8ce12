"""What each lane of a machine that skips zeros does in each window of a mapping, counted.

Every loop steps through one dimension, so that the window, the lane and the ifmap address of a MAC
are sums of what its tap (g, c, r, s), its filter k and its point (n, p, q) add. Filters that add
the same to window and lane are counted together, and so are points.
"""

from collections.abc import Iterable, Iterator
from collections.abc import Mapping as MappingType
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim._compiled import compiled
from hwsim.errors import InputError
from hwsim.mapping import Mapping
from hwsim.workload import Layer

Mask = NDArray[np.bool_]
Integers = NDArray[np.int64]
Table = dict[str, Integers]

WINDOW, LANE, ADDRESS = 0, 1, 2
MOST_COUNTS = 2**23  # windows x lanes that are counted at a time: 64 MiB


@dataclass(frozen=True)
class _Coordinates:
    """Coordinates of some dimensions by window, and what each adds to window, lane and address.

    `places` are their numbers in C order. `sums` is [table, coordinate]; its windows are numbers
    among the distinct ones, `windows`.
    """

    places: Integers
    windows: Integers
    sums: Integers

    @staticmethod
    def of(layer: Layer, tables: Iterable[Table], dims: str) -> "_Coordinates":
        at = np.indices([layer.bounds[dim] for dim in dims]).reshape(len(dims), -1)
        added = dict(zip(dims, at, strict=True))
        sums = np.array([sum(table[dim][added[dim]] for dim in dims) for table in tables])
        windows, sums[WINDOW] = np.unique(sums[WINDOW], return_inverse=True)
        places = np.argsort(sums[WINDOW], kind="stable")
        return _Coordinates(places, windows, sums[:, places])

    def split(self, most: int) -> "Iterator[_Coordinates]":
        """Those of at most so many windows at a time."""
        for first in range(0, self.windows.size, most):
            inside = slice(*np.searchsorted(self.sums[WINDOW], (first, first + most)))
            sums = self.sums[:, inside] - np.array([[first], [0], [0]])
            yield _Coordinates(self.places[inside], self.windows[first : first + most], sums)

    def grouped(self, windows_apart: int) -> tuple[Integers, Integers]:
        """Distinct (window, lane) [2, group], and the group of each; windows lie so far apart."""
        groups, group = np.unique(self.sums[:ADDRESS], axis=1, return_inverse=True)
        groups[WINDOW] *= windows_apart
        return groups, group.ravel()


def work_by_windows(
    layer: Layer, mapping: Mapping, sync: int, masks: MappingType[str, Mask | None]
) -> Iterator[tuple[Integers, Integers]]:
    """Every window once, and the work of its lanes [window, lane], about MOST_COUNTS at a time.

    Windows of some filters and points come together, and with them all those of taps. What else
    is kept in memory grows with the layer's tensors alone.
    """
    if not layer.weighted:
        raise InputError(f"layer {layer.name!r} multiplies by no weights: no zeros to skip")
    in_window = [index < sync and not loop.axis for index, loop in enumerate(mapping.loops)]
    window, _ = _places(layer, mapping, in_window)
    lane, lanes = _places(layer, mapping, [loop.axis is not None for loop in mapping.loops])
    field, address = _field(layer, masks.get("ifmap"))
    weight = _sized(layer, "weight", masks.get("weight"))
    taps, filters, points = (
        _Coordinates.of(layer, (window, lane, address), dims) for dims in ("GCRS", "K", "NPQ")
    )
    kept = np.moveaxis(weight.reshape([layer.bounds[dim] for dim in "GKCRS"]), 1, -1)
    kept = kept.reshape(-1, layer.K)[taps.places]
    room = max(1, MOST_COUNTS // (taps.windows.size * lanes))
    for some in points.split(room):
        for few in filters.split(max(1, room // some.windows.size)):
            windows = np.add.outer(np.add.outer(few.windows, some.windows), taps.windows)
            work = np.zeros((windows.size, lanes), np.int64)
            _add(field, kept[:, few.places], taps, few, some, work)
            yield windows.ravel(), work


def _add(
    field: Mask,
    kept: Mask,
    taps: _Coordinates,
    filters: _Coordinates,
    points: _Coordinates,
    work: Integers,
) -> None:
    """Adds the MACs of some filters' `kept` taps [tap, filter] at some points to `work`."""
    point_groups, point_group = points.grouped(taps.windows.size)
    filter_groups, filter_group = filters.grouped(taps.windows.size * points.windows.size)
    order = np.argsort(filter_group, kind="stable")
    starts = np.searchsorted(filter_group[order], np.arange(filter_groups.shape[1]))
    counts = np.add.reduceat(kept[:, order], starts, axis=1, dtype=np.min_scalar_type(order.size))
    count_lanes(
        field,
        counts,
        taps.sums,
        filter_groups,
        points.sums[ADDRESS],
        point_group,
        point_groups,
        work,
    )


def _places(layer: Layer, mapping: Mapping, chosen: list[bool]) -> tuple[Table, int]:
    """What each coordinate of a dimension adds to the number of its place among the chosen loops.

    Also, how many places there are.
    """
    rest = {dim: np.arange(bound, dtype=np.int64) for dim, bound in layer.bounds.items()}
    added = {dim: np.zeros_like(coordinates) for dim, coordinates in rest.items()}
    trips = mapping.trips(layer)
    places = step = prod(count for count, counts in zip(trips, chosen, strict=True) if counts)
    for loop, count, counts in zip(mapping.loops, trips, chosen, strict=True):
        digit, rest[loop.dim] = np.divmod(rest[loop.dim], loop.tile)
        if counts:
            step //= count
            added[loop.dim] += digit * step
    return added, places


def _field(layer: Layer, ifmap: Mask | None) -> tuple[Mask, Table]:
    """The ifmap as far as windows reach, padding included; what coordinates add to an address."""
    step = {"P": layer.stride_h, "R": layer.dilation_h, "Q": layer.stride_w, "S": layer.dilation_w}
    reach = {dim: np.arange(layer.bounds[dim]) * size for dim, size in step.items()}
    rows = int(reach["P"][-1] + reach["R"][-1]) + 1
    columns = int(reach["Q"][-1] + reach["S"][-1]) + 1
    maps = layer.N, layer.G, layer.C
    if ifmap is None:
        field = np.ones((*maps, rows, columns), bool)
    else:
        given = _sized(layer, "ifmap", ifmap).reshape(*maps, layer.H, layer.W)
        edges = ((0, 0), (0, 0), (0, 0), (layer.pad_h, rows), (layer.pad_w, columns))
        field = np.pad(given, edges)[..., :rows, :columns]
    spans = {"C": rows * columns, "G": layer.C * rows * columns, "P": columns, "R": columns}
    spans |= {"N": layer.G * spans["G"], "K": 0}
    address = {
        dim: reach.get(dim, np.arange(n)) * spans.get(dim, 1) for dim, n in layer.bounds.items()
    }
    return field.ravel(), address


def _sized(layer: Layer, tensor: str, mask: Mask | None) -> Mask:
    """The mask, or one without zeros where there is none."""
    words = layer.words(tensor)
    if mask is None:
        return np.ones(words, bool)
    if mask.dtype != np.bool_ or mask.size != words:
        raise InputError(
            f"layer {layer.name!r}: mask of {tensor}, {mask.size} x {mask.dtype}: "
            f"must be {words} x bool"
        )
    return mask


@compiled()
def count_lanes(
    field: Mask,
    kept: NDArray[Any],
    tap_sums: Integers,
    filter_groups: Integers,
    points: Integers,
    point_group: Integers,
    point_groups: Integers,
    work: Integers,
) -> None:
    """Adds to `work` how many `kept` filters [tap, group] meet non-zeros of the field, and where.

    A group holds the filters, or the points, that add the same to window and lane: they are counted
    together. `points` holds what each adds to a tap's address in the field.
    """
    met = np.zeros(point_groups.shape[1], np.int64)
    for tap in range(tap_sums.shape[1]):
        met[:] = 0
        for point in range(points.size):
            met[point_group[point]] += field[tap_sums[ADDRESS, tap] + points[point]]
        for group in range(filter_groups.shape[1]):
            filters = np.int64(kept[tap, group])
            if filters:
                window = tap_sums[WINDOW, tap] + filter_groups[WINDOW, group]
                lane = tap_sums[LANE, tap] + filter_groups[LANE, group]
                for i in range(met.size):
                    work[window + point_groups[WINDOW, i], lane + point_groups[LANE, i]] += (
                        filters * met[i]
                    )
