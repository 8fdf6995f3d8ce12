"""Conformance of every dataflow, found by file name, on made-up and shipped machines."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from itertools import islice
from math import prod
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.dataflows._parts import inner_levels, outer_levels
from hwsim.hardware import Accelerator, Array, Memory, load_machine
from hwsim.mapping import Mapping, Store, kept_bits, tile_words, validate
from hwsim.registry import hook, module, names
from hwsim.reuse import MAC, Link, access_counts, compute_steps
from hwsim.workload import Layer, Op
from tests import machines as parts
from tests import oracle, strategies

DATAFLOWS = names("dataflow")
WORD = 16
MEASURED = 8


def pad(*tensors: str, words: int, bypass: bool = True) -> Memory:
    """A register file of so many 16-bit words."""
    return Memory(tensors=tensors, cell="register_file", capacity_bits=words * WORD, bypass=bypass)


def must_keep(memory: Memory, words: int) -> Memory:
    """The memory at so many words, which no tensor may bypass."""
    return memory.model_copy(update={"capacity_bits": words * WORD, "bypass": False})


ONE_WORD_PADS = tuple(must_keep(memory, 1) for memory in parts.PADS)
DRAM, GLB, PADS = parts.dram_level(), parts.glb_level(), parts.spad_level()
LONELY = Array(axes={"X": 4, "Y": 3}, multicast=(), reduces=False)

MACHINES = {
    "pads": parts.machine(),
    "one PE": parts.machine(DRAM, GLB, parts.grid(1, 1), PADS),
    "no array": parts.machine(DRAM, GLB, PADS),
    "no buffer": parts.machine(DRAM, parts.GRID, PADS),
    "no pads": parts.machine(DRAM, GLB, parts.grid(3, 5)),
    "DRAM alone": parts.machine(DRAM, parts.GRID),
    "one axis": parts.machine(DRAM, GLB, Array(axes={"X": 5}), PADS),
    "shared file": parts.machine(
        DRAM, GLB, parts.grid(2, 7), parts.spad_level(pad("ifmap", "weight", "ofmap", words=24))
    ),
    "weights alone": parts.machine(DRAM, GLB, parts.GRID, parts.spad_level(pad("weight", words=6))),
    "separate buffers": parts.machine(
        DRAM,
        parts.glb_level(
            parts.sized(GLB.memories[0], 96 * WORD).model_copy(
                update={"tensors": ("ifmap", "ofmap"), "buffering": "double"}
            ),
            parts.sized(GLB.memories[0], 40 * WORD).model_copy(update={"tensors": ("weight",)}),
        ),
        parts.grid(7, 2),
        PADS,
    ),
    "unshared": parts.machine(DRAM, GLB, LONELY, PADS),
    "one-word pads": parts.machine(DRAM, GLB, parts.GRID, parts.spad_level(*ONE_WORD_PADS)),
    "one word anywhere": parts.machine(
        DRAM,
        parts.glb_level(must_keep(parts.GLB, 3)),
        parts.GRID,
        parts.spad_level(*ONE_WORD_PADS),
    ),
}

SHIPPED_LAYERS = (
    Layer(name="conv", K=24, C=16, P=13, Q=11, R=3, S=5, stride_h=2, pad_h=1, dilation_w=2),
    Layer(name="grouped", N=2, G=3, K=8, C=6, P=9, Q=14, R=5, S=3, pad_w=1),
    Layer(name="depthwise", G=32, P=14, Q=10, R=3, S=3, stride_w=2),
    Layer(name="linear", op=Op.LINEAR, N=3, K=100, C=70),
)


def small_layers(dataflow: str) -> st.SearchStrategy[Layer]:
    """Layers that the dataflow is for: windows of any geometry, and products of matrices."""
    if dataflow == "streaming":
        return strategies.layers().map(partial(replace, op=Op.POOL, K=1, C=1))
    convs = strategies.layers().map(partial(replace, op=Op.CONV, operands=1))
    sizes = st.integers(1, 9)
    products = st.builds(
        lambda op, N, K, C: Layer(name="product", op=op, N=N, K=K, C=C),
        st.sampled_from((Op.LINEAR, Op.MATMUL)),
        sizes,
        sizes,
        sizes,
    )
    depthwise = convs.map(partial(replace, K=1, C=1))
    return st.one_of(convs, depthwise, products)


def mappings(dataflow: str, layer: Layer, machine: Accelerator) -> list[Mapping]:
    """All that the dataflow offers."""
    offer = hook(module("dataflow", dataflow), "mappings")
    return list(cast(Iterable[Mapping], offer(layer, machine)))


def sample(found: list[Mapping]) -> list[Mapping]:
    """A few mappings, evenly spaced, the last among them."""
    return found[:: -(-len(found) // MEASURED)] + found[-1:]


def fits(layer: Layer, machine: Accelerator, words: dict[str, int]) -> bool:
    """Whether every memory holds so many words of its tensors at once."""
    return all(
        sum(words.get(t, 0) * kept_bits(layer, memory, t) for t in memory.tensors)
        <= memory.usable_bits
        for level in machine.levels[1:]
        for memory in level.memories
    )


def rows_fit(layer: Layer, machine: Accelerator) -> bool:
    """Row stationary's least: a row of a filter and of its window in the pads, and in the buffer
    all weights and the ifmap and psum rows of as many groups as the array has PEs."""
    groups = min(layer.G, machine.pes)
    extent = layer.bounds | {"N": 1, "G": groups, "K": 1, "C": 1, "P": 1}
    buffered = {t: tile_words(layer, t, extent) for t in ("ifmap", "ofmap")}
    row = {"ifmap": layer.S, "weight": layer.S, "ofmap": 1}
    pads = {level.level for level in inner_levels(machine)}
    above = [p for p in machine.hierarchy if not (hasattr(p, "level") and p.level in pads)]
    below = [machine.levels[0], *inner_levels(machine)]
    return fits(
        layer,
        machine.model_copy(update={"hierarchy": tuple(above)}),
        buffered | {"weight": layer.words("weight")},
    ) and fits(layer, machine.model_copy(update={"hierarchy": tuple(below)}), row)


def must_map(dataflow: str, layer: Layer, machine: Accelerator) -> bool:
    """Whether the dataflow owes the layer a mapping."""
    if dataflow == "row_stationary":
        return rows_fit(layer, machine)
    return fits(layer, machine, dict.fromkeys(layer.tensors, 1) | {"ifmap": layer.operands})


# ------------------------------------------------------------------ the property that gives a name


def counts(layer: Layer, mapping: Mapping, machine: Accelerator) -> tuple[Link, ...]:
    """Access counts on the machine."""
    return access_counts(layer, mapping, shared=machine.shared, padding=machine.stores_padding)


def check_finished_in_place(layer: Layer, mapping: Mapping, machine: Accelerator) -> None:
    """Psums leave every memory once, finished, and never come back."""
    for link in counts(layer, mapping, machine):
        if link.tensor == "ofmap" and link.child != MAC:
            assert link.reads == link.delivered == 0
            assert link.collected == link.writes == layer.words("ofmap")


def check_stationary(
    tensor: str, passing: str, layer: Layer, mapping: Mapping, machine: Accelerator
) -> None:
    """While the dimensions `passing` pass, the tensor stays in the pads: it is read for them no
    more often than if those had one step, each time that the buffers are filled anew."""
    alone = Mapping(
        tuple(node for node in mapping if isinstance(node, Store) or node.dim not in passing)
    )
    once = shrunk(layer, passing)
    fills = _pad_fills(tensor, counts(layer, mapping, machine), machine)
    least = _pad_fills(tensor, counts(once, alone, machine), machine)
    assert fills <= least * _refills(tensor, passing, layer, mapping, machine)


def shrunk(layer: Layer, dims: str) -> Layer:
    """The layer with some of N, K, P and Q cut to 1, its ifmap as before."""
    N, K, P, Q = (1 if dim in dims else layer.bounds[dim] for dim in "NKPQ")
    return replace(layer, N=N, K=K, P=P, Q=Q)


def _pad_fills(tensor: str, links: Iterable[Link], machine: Accelerator) -> int:
    """Words of a tensor read for the outermost of its pads; 0 where it has none."""
    pads = {level.level for level in inner_levels(machine)}
    return next((x.reads for x in links if x.tensor == tensor and x.child in pads), 0)


def _refills(
    tensor: str, passing: str, layer: Layer, mapping: Mapping, machine: Accelerator
) -> int:
    """How often `passing` changes what the buffers hold, or the pads where there are no buffers,
    times the PEs it tells apart."""
    buffers = {level.level for level in outer_levels(machine)}
    stores = [i for i, x in enumerate(mapping) if isinstance(x, Store) and x.level in buffers]
    below = stores[-1] if stores else len(mapping.nodes)
    filled = len(Mapping(mapping.nodes[:below]).loops)
    return prod(
        trips
        for index, (loop, trips) in enumerate(zip(mapping.loops, mapping.trips(layer), strict=True))
        if loop.dim in passing
        and (tensor not in machine.shared[loop.axis] if loop.axis else index < filled)
    )


def check_nothing_kept(layer: Layer, mapping: Mapping, machine: Accelerator) -> None:
    """Pads keep a word of what may not bypass them; all else comes from above, each time."""
    pads = {level.level: level for level in inner_levels(machine)}
    for tensor in layer.tensors:
        for level, before in mapping.stores(tensor):
            if level in pads:
                memory = pads[level].memory(tensor)
                assert memory is not None
                assert not memory.bypass
                assert tile_words(layer, tensor, mapping.tile(layer, before)) == 1
    assert {loop.dim for loop in mapping.loops if loop.axis} <= set("GKCRS")


LAWS: dict[str, Callable[[Layer, Mapping, Accelerator], None]] = {
    "input_stationary": partial(check_stationary, "ifmap", "K"),
    "no_local_reuse": check_nothing_kept,
    "output_stationary": check_finished_in_place,
    "row_stationary": partial(check_stationary, "weight", "NPQ"),
    "streaming": check_finished_in_place,
    "weight_stationary": partial(check_stationary, "weight", "NPQ"),
}


def check(dataflow: str, layer: Layer, machine: Accelerator) -> list[Mapping]:
    """What holds for every dataflow, on every machine and layer."""
    found = mappings(dataflow, layer, machine)
    assert found == mappings(dataflow, layer, machine)
    assert found or not must_map(dataflow, layer, machine)
    for mapping in found:
        validate(mapping, layer, machine)
    for mapping in sample(found) if found else []:
        steps = compute_steps(layer, mapping)
        assert steps * mapping.active_pes(layer) >= layer.operations
        LAWS[dataflow](layer, mapping, machine)
    return found


def test_every_dataflow_has_a_law() -> None:
    assert sorted(LAWS) == DATAFLOWS


@pytest.mark.parametrize("kind", MACHINES)
@pytest.mark.parametrize("dataflow", DATAFLOWS)
def test_small_layers(dataflow: str, kind: str) -> None:
    machine = MACHINES[kind]

    @settings(max_examples=8, deadline=None, derandomize=True, database=None)
    @given(layer=small_layers(dataflow))
    def holds(layer: Layer) -> None:
        check(dataflow, layer, machine)

    holds()


@pytest.mark.parametrize("dataflow", DATAFLOWS)
@settings(max_examples=10, deadline=None, derandomize=True)
@given(data=st.data())
def test_every_operation_is_walked(dataflow: str, data: st.DataObject) -> None:
    layer = data.draw(small_layers(dataflow))
    machine = MACHINES[data.draw(st.sampled_from(sorted(MACHINES)))]
    found = mappings(dataflow, layer, machine)
    for mapping in islice(found, 0, None, max(1, len(found) - 1)):
        walked = oracle.walk(layer, mapping, shared=machine.shared, padding=False)
        assert tuple(walked) == counts(layer, mapping, machine)
        for link in walked:
            if link.child == MAC:
                operands = layer.operands if link.tensor == "ifmap" else 1
                done = link.collected if link.tensor == "ofmap" else link.delivered
                assert done == operands * layer.operations


@pytest.mark.parametrize("name", names("machine"))
@pytest.mark.parametrize("dataflow", DATAFLOWS)
def test_shipped_machines(dataflow: str, name: str) -> None:
    machine = load_machine(name).model_copy(update={"dataflow": dataflow})
    for layer in SHIPPED_LAYERS:
        pool = replace(layer, op=Op.POOL, G=layer.G * layer.K, K=1, C=1)
        check(dataflow, pool if dataflow == "streaming" else layer, machine)
