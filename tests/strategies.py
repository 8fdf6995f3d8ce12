"""Random small layers, and random mappings of them, for hypothesis."""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

from hypothesis import strategies as st

from hwsim.mapping import Loop, Mapping, Node, Store
from hwsim.workload import DIMS, TENSORS, Layer, Op

LEVELS = ("DRAM", "GLB", "spad", "latch")
AXES = ("X", "Y", "Z")
POINTS = 600

Shared = dict[str, frozenset[str]]


@st.composite
def layers(draw: st.DrawFn, points: int = POINTS) -> Layer:
    """Bounds of 1..5 with at most `points` points, any window, sometimes an operator to spare."""
    bounds: dict[str, Any] = {}
    for dim in draw(st.permutations(DIMS)):
        bounds[dim] = draw(st.integers(1, max(1, min(5, points))))
        points //= bounds[dim]
    window: dict[str, Any] = {}
    for side, steps, filters, size in (("h", "P", "R", "H"), ("w", "Q", "S", "W")):
        stride, dilation = draw(st.integers(1, 3)), draw(st.integers(1, 2))
        reach = (bounds[steps] - 1) * stride + (bounds[filters] - 1) * dilation + 1
        pad = draw(st.integers(0, min(2, (reach - 1) // 2)))
        spare = draw(st.integers(-1, stride - 1))
        window |= {f"stride_{side}": stride, f"dilation_{side}": dilation, f"pad_{side}": pad}
        window[size] = max(1, reach - 2 * pad + spare)
    op = draw(st.sampled_from((Op.CONV, Op.CONV, Op.POOL)))
    return Layer(name="small", op=op, operands=draw(st.integers(1, 2)), **bounds, **window)


@st.composite
def _tiles(draw: st.DrawFn, bound: int) -> list[int]:
    """Tiles from at most `bound` down to 1, ragged or not, sometimes the same one twice."""
    tiles = sorted(draw(st.lists(st.integers(1, bound), max_size=3)), reverse=True)
    return tiles if bound == 1 or 1 in tiles else [*tiles, 1]


@st.composite
def _loops(draw: st.DrawFn, layer: Layer) -> list[Loop]:
    tiles = {dim: draw(_tiles(bound)) for dim, bound in layer.bounds.items()}
    order = draw(st.permutations([dim for dim in DIMS for _ in tiles[dim]]))
    axes = st.sampled_from((None, None, None, *AXES))
    return [Loop(dim, tiles[dim].pop(0), draw(axes)) for dim in order]


@st.composite
def _stores(draw: st.DrawFn, loops: int) -> list[tuple[int, str]]:
    """(loops before it, level) of one tensor's stores, in order, the first before all loops."""
    levels = draw(st.sampled_from([c for n in range(4) for c in combinations(LEVELS[1:], n)]))
    size = len(levels)
    before = sorted(draw(st.lists(st.integers(0, loops), min_size=size, max_size=size)))
    return [(0, LEVELS[0]), *zip(before, levels, strict=True)]


def _woven(loops: Sequence[Loop], stores: dict[str, list[tuple[int, str]]]) -> Mapping:
    nodes: list[Node] = []
    for before in range(len(loops) + 1):
        for level in LEVELS:
            kept = tuple(tensor for tensor in stores if (before, level) in stores[tensor])
            nodes += [Store(level, kept)] if kept else []
        nodes += loops[before : before + 1]
    return Mapping(tuple(nodes))


@st.composite
def mappings(draw: st.DrawFn, layer: Layer) -> Mapping:
    """Any loop order, tiles and axes, each tensor kept at its own levels and depths."""
    loops = draw(_loops(layer))
    return _woven(loops, {tensor: draw(_stores(len(loops))) for tensor in layer.tensors})


def sharings() -> st.SearchStrategy[Shared]:
    """Which tensors' transfers each axis shares."""
    tensors = st.frozensets(st.sampled_from(TENSORS))
    return st.fixed_dictionaries({axis: tensors for axis in AXES})
