"""How often a mapping moves each tensor between memories: exact access counts.

Of the temporal loops above a memory that go through a tensor's own dimensions, in more than one
tile at their largest, the innermost is its mover. Each state of the loops down to the mover brings
a tile, and loops further inside bring nothing. A tile's size is a product over the tensor's axes,
so that a sum over states is one too: `_nest.py` sums an axis, this module multiplies.

What is counted, as `tests/oracle.py` walks it:
- a controller sends what is new since the tile before, so that sliding windows reuse their overlap,
  if the mover has just advanced; if a loop outside has, and the mover starts again, it sends the
  whole tile, whatever was held, and also where a ragged edge leaves the mover a single one;
- one read serves all instances along an array axis that shares the tensor's words (multicast);
  psums of instances along a sharing axis are added on their way up (spatial reduction);
- a psum that leaves before it is finished is read back, except on its first visit;
- an instance with nothing to do at a ragged edge still receives what its multicast group does;
- a MAC keeps nothing: each operation reads its operands and updates its psum.
"""

from collections.abc import Iterable, Sequence
from collections.abc import Mapping as MappingType
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import NamedTuple

from hwsim._nest import MOVER, SEPARATE, SHARED, TEMPORAL, Loops, states, window_words
from hwsim.mapping import Loop, Mapping, instances
from hwsim.workload import DIMS, RELEVANT, Layer

MAC = "MAC"
Shared = MappingType[str, frozenset[str]]
WINDOWS = {"P": "R", "Q": "S"}


@dataclass(frozen=True)
class Link:
    """Words of one tensor that move between a memory level and the next one inwards.

    `reads` from the parent and `delivered` into the child's instances; for psums `collected` from
    the child's instances and `writes` into the parent after spatial reduction.
    """

    tensor: str
    parent: str
    child: str
    reads: int
    delivered: int
    collected: int = 0
    writes: int = 0


def access_counts(
    layer: Layer,
    mapping: Mapping,
    *,
    shared: Shared,
    padding: bool = False,
) -> tuple[Link, ...]:
    """Every link of every tensor, outermost first.

    `shared` names, by array axis, the tensors of which one word serves all instances along it;
    `padding` counts zero padding as data. The mapping is taken to be valid.
    """
    nest = _Nest(layer, mapping.loops, mapping.trips(layer), shared, padding)
    return tuple(
        nest.link(tensor, parent, child)
        for tensor in layer.tensors
        for parent, child in pairwise((*mapping.stores(tensor), (MAC, len(mapping.loops))))
    )


def compute_steps(layer: Layer, mapping: Mapping, dims: Iterable[str] = DIMS) -> int:
    """Time steps of the whole nest, in each of which a busy PE does one operation; or of its loops
    through these `dims`, the product of which over all dimensions it is."""
    return executions(layer, mapping, len(mapping.loops), dims)


def executions(layer: Layer, mapping: Mapping, count: int, dims: Iterable[str] = DIMS) -> int:
    """How often what follows the first `count` loops is executed, in time; of loops through these
    `dims` alone."""
    loops = mapping.loops[:count]
    return prod(
        states(
            layer.bounds[dim],
            tuple((loop.tile, not loop.axis) for loop in loops if loop.dim == dim),
        )
        for dim in dims
    )


def refilling(layer: Layer, mapping: Mapping, tensor: str, count: int) -> int:
    """Of the first `count` loops, how many there are down to the mover of a tensor kept below them;
    0 where nothing moves it."""
    return _refilling(tensor, mapping.loops[:count], mapping.trips(layer))


def _refilling(tensor: str, loops: Sequence[Loop], trips: Sequence[int]) -> int:
    for index in reversed(range(len(loops))):
        loop = loops[index]
        if trips[index] > 1 and not loop.axis and loop.dim in RELEVANT[tensor]:
            return index + 1
    return 0


class _Above(NamedTuple):
    """A loop above a memory that tells tiles or instances apart, as one tensor sees it."""

    dim: str
    tile: int
    kind: int
    trips: int


@dataclass(frozen=True)
class _Nest:
    """A mapped layer. `trips` are those of its loops at their largest."""

    layer: Layer
    loops: tuple[Loop, ...]
    trips: tuple[int, ...]
    shared: Shared
    padding: bool

    def link(self, tensor: str, parent: tuple[str, int], child: tuple[str, int]) -> Link:
        """The words of a tensor between two of its stores, (level, loops above it) each."""
        to_macs = child[0] == MAC
        above = self._above(tensor, parent[1], child[1], to_macs=to_macs)
        words, instance_words = self._words(tensor, above, to_macs=to_macs)
        if to_macs:
            instance_words = self.layer.operations
        if tensor != "ofmap":
            operands = self.layer.operands if tensor == "ifmap" else 1
            return Link(tensor, parent[0], child[0], operands * words, operands * instance_words)
        back = words - self._first_visits(parent[1], busy=to_macs)
        return Link(tensor, parent[0], child[0], back, back, instance_words, words)

    def _above(self, tensor: str, parent: int, child: int, *, to_macs: bool) -> list[_Above]:
        """The loops above a child, but for temporal ones that bring it nothing."""
        loops, found = self.loops[:child], []
        end = child if to_macs else _refilling(tensor, loops, self.trips)
        for index, loop in enumerate(loops):
            if loop.axis:
                together = index >= parent and tensor in self.shared[loop.axis]
                kind = SHARED if together else SEPARATE
            elif index < end:
                kind = MOVER if index == end - 1 and not to_macs else TEMPORAL
            else:
                continue
            found.append(_Above(loop.dim, loop.tile, kind, self.trips[index]))
        return found

    def _words(self, tensor: str, above: Sequence[_Above], *, to_macs: bool) -> tuple[int, int]:
        """Words that a child is sent by shared transfers, and summed over its instances."""
        together = apart = 1
        for dim, bound in self.layer.bounds.items():
            own = [loop for loop in above if loop.dim == dim]
            if tensor == "ifmap" and dim in WINDOWS:
                groups, places = self._window(dim, above)
            elif dim in RELEVANT[tensor]:
                groups = places = 1 if tensor == "ifmap" and dim in WINDOWS.values() else bound
            else:
                groups, places = (_busy if to_macs else _visits)(bound, own)
            together, apart = together * groups, apart * places
        return together, apart

    def _window(self, dim: str, above: Sequence[_Above]) -> tuple[int, int]:
        """Ifmap rows or columns that are sent, together and apart."""
        layer, filters = self.layer, WINDOWS[dim]
        if dim == "P":
            steps, pad, size = (layer.stride_h, layer.dilation_h), layer.pad_h, layer.H
        else:
            steps, pad, size = (layer.stride_w, layer.dilation_w), layer.pad_w, layer.W
        span = (0, size + 2 * pad) if self.padding else (pad, size + pad)
        bounds = layer.bounds[dim], layer.bounds[filters]
        return window_words(bounds, (_cuts(dim, above), _cuts(filters, above)), steps, span)

    def _first_visits(self, above_parent: int, *, busy: bool) -> int:
        """Psum words that the parent's instances see for the first time.

        Every instance along a reduced dimension sees each of its psums once; with `busy`, an
        instance past a ragged edge sees none, since no MAC below it ever works.
        """
        loops = self.loops[:above_parent]
        copies = (
            instances([loop for loop in loops if loop.dim == dim], length, busy=busy)
            for dim, length in self.layer.bounds.items()
            if dim not in RELEVANT["ofmap"]
        )
        return self.layer.words("ofmap") * prod(copies)


def _cuts(dim: str, above: Sequence[_Above]) -> Loops:
    return tuple((loop.tile, loop.kind) for loop in above if loop.dim == dim)


def _visits(bound: int, above: Sequence[_Above]) -> tuple[int, int]:
    """How often a tile is sent for a dimension that its tensor lacks: together, and apart."""
    times = states(bound, tuple((loop.tile, loop.kind < SHARED) for loop in above))
    groups = prod(loop.trips for loop in above if loop.kind == SEPARATE)
    places = prod(loop.trips for loop in above if loop.kind >= SHARED)
    return times * groups, times * places


def _busy(bound: int, above: Sequence[_Above]) -> tuple[int, int]:
    """The same for MACs, of which those past a ragged edge are sent nothing."""
    groups = states(bound, tuple((loop.tile, loop.kind != SHARED) for loop in above))
    return groups, bound
