"""How often a mapping moves each tensor between memories: exact access counts.

The tile that a memory instance holds is a product of independent index sets, one per axis of the
tensor (for the ifmap: N, G, C, rows, columns). What a step must fetch, |new tile - old tile|, is
therefore a product of set sizes minus a product of overlaps, and summed over every step of a loop
nest these sums still factor by axis. `_nest.py` sums each axis by itself; this module multiplies.

What is counted, as `tests/oracle.py` walks it:
- an instance keeps its tile from one step to the next and fetches only what is new to it, so that
  sliding windows reuse their overlap;
- one read serves all instances along an array axis that shares the tensor's words (multicast);
  psums of instances along a sharing axis are added on their way up (spatial reduction);
- a psum that leaves before it is finished is read back, except on its first visit;
- an instance with nothing to do at a ragged edge still receives what its multicast group does;
- a MAC keeps nothing: each operation reads its operands and updates its psum.
"""

from collections.abc import Mapping as MappingType
from dataclasses import dataclass
from itertools import pairwise
from math import prod

import numpy as np

from hwsim._nest import KIND, SEPARATE, SHARED, TEMPORAL, Array1D, Array2D, link_totals, total_steps
from hwsim.mapping import Mapping, instances
from hwsim.workload import DIMS, RELEVANT, Layer

MAC = "MAC"
Shared = MappingType[str, frozenset[str]]


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
    return tuple(
        _link(layer, mapping, tensor, parent, child, shared, padding)
        for tensor in layer.tensors
        for parent, child in pairwise(
            (*mapping.stores(tensor), (MAC, len(mapping.loops))),
        )
    )


def compute_steps(layer: Layer, mapping: Mapping) -> int:
    """Time steps of the whole nest, in each of which a busy PE does one operation."""
    return executions(layer, mapping, len(mapping.loops))


def executions(layer: Layer, mapping: Mapping, count: int) -> int:
    """How often what follows the first `count` loops is executed, in time."""
    return int(total_steps(_bounds(layer), _rows(layer, mapping, count, SHARED)))


def _link(
    layer: Layer,
    mapping: Mapping,
    tensor: str,
    parent: tuple[str, int],
    child: tuple[str, int],
    shared: Shared,
    padding: bool,
) -> Link:
    rows = _rows(layer, mapping, child[1], SEPARATE)
    for index, loop in enumerate(mapping.loops[parent[1] : child[1]], start=parent[1]):
        if loop.axis and tensor in shared[loop.axis]:
            rows[index, KIND] = SHARED
    words, instance_words = (
        int(total)
        for total in link_totals(
            _bounds(layer), rows, *_axes(layer, tensor, padding), child[0] != MAC
        )
    )
    if child[0] == MAC:
        instance_words = layer.operations
    if tensor != "ofmap":
        operands = layer.operands if tensor == "ifmap" else 1
        return Link(tensor, parent[0], child[0], operands * words, operands * instance_words)
    back = words - _first_visits(layer, mapping, parent[1], busy=child[0] == MAC)
    return Link(tensor, parent[0], child[0], back, back, instance_words, words)


def _first_visits(layer: Layer, mapping: Mapping, above_parent: int, *, busy: bool) -> int:
    """Psum words that the parent's instances see for the first time.

    Every instance along a reduced dimension sees each of its psums once; with `busy`, an instance
    past a ragged edge sees none, since no MAC below it ever works.
    """
    loops = mapping.loops[:above_parent]
    copies = (
        instances([loop for loop in loops if loop.dim == dim], length, busy=busy)
        for dim, length in layer.bounds.items()
        if dim not in RELEVANT["ofmap"]
    )
    return layer.words("ofmap") * prod(copies)


def _rows(layer: Layer, mapping: Mapping, count: int, spatial_kind: int) -> Array2D:
    """The first `count` loops as rows (dimension, tile, kind, most instances)."""
    rows = [
        (DIMS.index(loop.dim), loop.tile, spatial_kind if loop.axis else TEMPORAL, trips)
        for loop, trips in zip(mapping.loops[:count], mapping.trips(layer), strict=False)
    ]
    return np.array(rows, dtype=np.int64).reshape(count, 4)


def _bounds(layer: Layer) -> Array1D:
    return np.array([layer.bounds[dim] for dim in DIMS], dtype=np.int64)


def _axes(layer: Layer, tensor: str, padding: bool) -> tuple[Array1D, Array2D]:
    """The axis of each dimension, and each axis's geometry, as `link_totals` takes them."""
    axis = np.arange(len(DIMS), dtype=np.int64)
    rows = [
        (1, 1, 0, layer.bounds[dim], 1) if dim in RELEVANT[tensor] else (0, 0, 0, 1, 0)
        for dim in DIMS
    ]
    if tensor == "ifmap":
        windows = (
            ("P", "R", layer.stride_h, layer.dilation_h, layer.pad_h, layer.H),
            ("Q", "S", layer.stride_w, layer.dilation_w, layer.pad_w, layer.W),
        )
        for major, minor, stride, dilation, pad, size in windows:
            axis[DIMS.index(minor)] = DIMS.index(major)
            span = (0, size + 2 * pad) if padding else (pad, size + pad)
            rows[DIMS.index(major)] = (stride, dilation, *span, 1)
    return axis, np.array(rows, dtype=np.int64)
