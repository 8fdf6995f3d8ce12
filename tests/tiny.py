"""Tiny layers and machines whose every mapping can be enumerated, for hypothesis or by seed."""

from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate, islice
from math import prod
from random import Random
from typing import Any

from hypothesis import assume
from hypothesis import strategies as st

from hwsim.hardware import Accelerator, Array, Control, Mac, Memory, MemoryLevel
from hwsim.workload import TENSORS, Layer, Op, Storage, Tensor
from tests.exhaustive import nests
from tests.exhaustive_nests import Nests, Places

Case = tuple[Layer, Accelerator]

# Work that is done in a second or two, in mappings; an order of loops costs as much as these many.
MOST = 300_000
NEST = 300

KINDS: dict[str, tuple[str, ...]] = {
    "conv": ("K", "C", "P", "Q", "R", "S"),
    "rows": ("K", "C", "P", "R"),
    "columns": ("N", "K", "Q", "S"),
    "pointwise": ("N", "K", "C", "Q"),
    "depthwise": ("G", "P", "Q", "R", "S"),
    "grouped": ("G", "K", "C", "Q", "S"),
    "fully connected": ("N", "K", "C"),
    "pool": ("N", "G", "P", "R", "S"),
}
LARGEST = {"N": 4, "G": 4, "K": 7, "C": 7, "P": 6, "Q": 7, "R": 3, "S": 3}

# What lies below the DRAM: levels of buffers and pads, and arrays.
HIERARCHIES = (
    ("array",),
    ("GLB",),
    ("array", "spad"),
    ("GLB", "array"),
    ("GLB", "spad"),
    ("GLB", "array", "spad"),
    ("GLB", "array", "spad"),
    ("array", "GLB", "array"),
    ("GLB", "array", "spad", "array"),
    ("GLB", "array", "spad", "latch"),
    ("GLB", "array", "spad", "array", "latch"),
)
# Which tensors have memories of a level, and with whom they share them.
PARTS: tuple[tuple[tuple[str, ...], ...], ...] = (
    (TENSORS,),
    (TENSORS,),
    (("ifmap", "ofmap"), ("weight",)),
    (("ifmap", "weight"), ("ofmap",)),
    (("ifmap",), ("weight",), ("ofmap",)),
    (("weight",),),
    (("ifmap", "ofmap"),),
    (("ofmap",),),
)
BITS = (4, 8, 8, 16)
WIDTHS = (None, None, None, 3.0, 8.0, 20.0)
BUFFERINGS = ("stream", "stream", "double", "single")

Pick = Callable[[Sequence[Any]], Any]


def layer(pick: Pick) -> Layer:
    """A layer of at most 24 points, each choice made by `pick`."""
    kind = pick(tuple(KINDS))
    points = pick((4, 6, 8, 12, 18, 24))
    bounds: dict[str, Any] = {}
    for dim in sorted(KINDS[kind], key=lambda dim: str(pick("abcdef")) + dim):
        bounds[dim] = pick(range(1, min(points, LARGEST[dim]) + 1))
        points //= bounds[dim]
    return Layer(
        name="tiny",
        op={"pool": Op.POOL, "fully connected": Op.LINEAR}.get(kind, Op.CONV),
        **bounds,
        **_window(pick, "h", bounds.get("P", 1), bounds.get("R", 1)),
        **_window(pick, "w", bounds.get("Q", 1), bounds.get("S", 1)),
        ifmap=Tensor(bits=pick(BITS), density=pick((1.0, 1.0, 0.25))),
        weight=Tensor(bits=pick(BITS)),
        ofmap=Tensor(bits=pick(BITS)),
        psum=Tensor(bits=pick((8, 16, 16, 24))),
    )


def _window(pick: Pick, side: str, steps: int, filters: int) -> dict[str, Any]:
    stride, dilation = pick((1, 1, 2)), pick((1, 1, 1, 2))
    reach = (steps - 1) * stride + (filters - 1) * dilation + 1
    pad = pick(range(min(filters - 1, (reach - 1) // 2) + 1))
    return {f"stride_{side}": stride, f"dilation_{side}": dilation, f"pad_{side}": pad}


def machine(pick: Pick) -> Accelerator:
    """A machine of two to four levels, each choice made by `pick`."""
    axes = iter(("XY", "ZW"))
    return Accelerator(
        name="tiny",
        description="tiny",
        source="tests",
        dataflow="row_stationary",
        clock_mhz=1000,
        hierarchy=(
            _dram(pick),
            *(
                _array(pick, axes) if part == "array" else _level(pick, part)
                for part in pick(HIERARCHIES)
            ),
        ),
        mac=Mac(psum_bits=24, multiply_add_pj=19, zero_gating=pick((False, False, True))),
        control=Control(
            clock_pj_per_cycle=pick((0, 0, 37, 1500)), leakage_mw=pick((0.0, 0.0, 41.0))
        ),
        stores_padding=pick((False, True)),
    )


def _dram(pick: Pick) -> MemoryLevel:
    memory = Memory(
        tensors=TENSORS,
        cell="dram",
        formats=pick(({}, {}, {"ifmap": Storage.BITMAP})),
        **_ports(pick, (100, 211)),
    )
    return MemoryLevel(level="DRAM", component="DRAM", memories=(memory,))


def _level(pick: Pick, name: str) -> MemoryLevel:
    energies = {"GLB": (7, 13, 29), "spad": (2, 3, 5), "latch": (0, 1, 2)}[name]
    component: Any = "GLB" if name == "GLB" else "spad"
    memories = tuple(_memory(pick, tensors, energies) for tensors in pick(PARTS))
    return MemoryLevel(level=name, component=component, memories=memories)


def _memory(pick: Pick, tensors: tuple[str, ...], energies: tuple[int, ...]) -> Memory:
    words = pick((1, 2, 3, 4, 6, 9, 14, 40)) + len(tensors) - 1
    return Memory(
        tensors=tensors,
        cell="sram",
        capacity_bits=pick((4, 8, 16)) * words,
        slot_bits=pick((1, 1, 8)),
        buffering=pick(BUFFERINGS),
        bypass=pick((True, True, False)),
        **_ports(pick, energies),
    )


def _ports(pick: Pick, energies: tuple[int, ...]) -> dict[str, Any]:
    return {
        "read_pj_per_bit": pick(energies),
        "write_pj_per_bit": pick(energies),
        "read_bits_per_cycle": pick(WIDTHS),
        "write_bits_per_cycle": pick(WIDTHS),
        "shared_port": pick((False, True)),
    }


def _array(pick: Pick, axes: Iterator[str]) -> Array:
    return Array(
        axes={axis: pick((1, 2, 2, 3)) for axis in next(axes)[: pick((1, 2))]},
        multicast=pick((("ifmap", "weight"), ("ifmap", "weight"), ("weight",), ())),
        reduces=pick((True, True, False)),
        noc_pj_per_bit=pick((0, 1, 17)),
        noc_slot_bits=pick((1, 1, 16)),
        bus_bits_per_cycle=pick(({}, {}, {"ifmap": 8, "ofmap": 16}, {"weight": 5})),
        skewed=pick((False, False, True)),
    )


def is_enumerable(layer: Layer, machine: Accelerator, *, most: int = MOST) -> bool:
    """Whether all mappings are gone through in a second or two, before any is cut for its size."""
    orders, places, work = Nests(layer, machine), Places(machine), 0
    for path in orders.paths():
        limits = orders.limits(path[-1].loops)
        choices = (places.choices(t, len(path) - 1, limits) for t in layer.tensors)
        work += NEST + prod(map(len, choices))
        if work > most:
            return False
    return True


def cases(seed: int, count: int, *, most: int = MOST, fewest: int = 1) -> list[Case]:
    """So many layers and machines, the same for the same seed, each with at least `fewest` valid
    mappings, and few enough of them to go through in a second or two."""
    return list(islice(stream(seed, most=most, fewest=fewest), count))


def stream(seed: int, *, most: int = MOST, fewest: int = 1) -> Iterator[Case]:
    """`cases` without end."""
    pick: Pick = Random(seed).choice
    while True:
        case = layer(pick), machine(pick)
        if is_enumerable(*case, most=most) and has_mappings(*case, fewest):
            yield case


def has_mappings(layer: Layer, machine: Accelerator, fewest: int) -> bool:
    """Whether so many mappings are valid, or more."""
    known = accumulate(len(nest.costs) for nest in nests(layer, machine))
    return any(count >= fewest for count in known)


@st.composite
def drawn(draw: st.DrawFn, *, most: int = MOST) -> Case:
    """A layer and a machine few enough of whose mappings are there to go through; none may be
    valid. Shrinks to small layers on plain machines."""

    def pick(options: Sequence[Any]) -> Any:
        return draw(st.sampled_from(options))

    case = layer(pick), machine(pick)
    assume(is_enumerable(*case, most=most))
    return case
