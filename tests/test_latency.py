"""Cycles against hand-worked schedules, and laws that hold for any mapping on any machine."""

from collections.abc import Iterable
from dataclasses import replace
from math import ceil, inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.cost import cost
from hwsim.errors import MappingError
from hwsim.hardware import Accelerator, Array, Memory, MemoryLevel, load_machine
from hwsim.latency import Latency, Load, elapsed, latency
from hwsim.mapping import Loop, Mapping, Node, Store, validate
from hwsim.simulate import best_mapping
from hwsim.systolic import SystolicArray, gemm, systolic_cost
from hwsim.traffic import Transfer, transfers
from hwsim.workload import Layer, Op, Tensor
from tests import oracle
from tests.machines import (
    DRAM,
    GLB,
    MATMUL,
    SQUARE,
    STATIONARY,
    Case,
    arithmetic_cycles,
    cases,
    coded_bits,
    sized,
)

# The worked example once for each n: two tiles pass the buffer, weights come twice.
TWO_TILES = Mapping((STATIONARY.nodes[0], Loop("N", 1), *STATIONARY.nodes[1:-1]))


def with_memory(machine: Accelerator, name: str, **changes: object) -> Accelerator:
    """The machine with every memory of one level changed."""
    parts = [
        part.model_copy(
            update={"memories": tuple(m.model_copy(update=changes) for m in part.memories)}
        )
        if isinstance(part, MemoryLevel) and part.level == name
        else part
        for part in machine.hierarchy
    ]
    return machine.model_validate(machine.model_dump() | {"hierarchy": tuple(parts)})


def with_bus(machine: Accelerator, tensor: str, width: float, slot_bits: int = 1) -> Accelerator:
    """The machine with one tensor's bus of a width."""
    return with_buses(machine, {tensor: width}, slot_bits)


def with_buses(machine: Accelerator, widths: dict[str, float], slot_bits: int = 1) -> Accelerator:
    """The machine with tensors' buses of some widths."""
    changes = {"bus_bits_per_cycle": widths, "noc_slot_bits": slot_bits}
    parts = [
        part.model_copy(update=changes) if isinstance(part, Array) else part
        for part in machine.hierarchy
    ]
    return machine.model_validate(machine.model_dump() | {"hierarchy": tuple(parts)})


def timed(machine: Accelerator, mapping: Mapping = STATIONARY, layer: Layer = MATMUL) -> Latency:
    return latency(layer, mapping, machine, transfers(layer, mapping, machine))


def times(found: Latency) -> tuple[int, int, str]:
    """Cycles, cycles of arithmetic alone, and what bounds them."""
    return found.cycles, found.compute_cycles, found.bound


def test_without_bandwidths_the_steps_are_the_cycles() -> None:
    """2 K-tiles x 2 C-tiles x 2 n, for 24 MACs on 4 PEs: a column idles in the ragged K-tile."""
    assert times(timed(SQUARE)) == (8, 8, "compute")
    assert cost(MATMUL, STATIONARY, SQUARE).utilization == 24 / 32


def test_dram_bound() -> None:
    """Reads: 64 bits of ifmap and a first weight for each PE, 16 bits, come before all else: 40
    cycles. The other 32 bits take 16, longer than the 8 steps. Then 48 bits of ofmap: 12."""
    slow = with_memory(SQUARE, "DRAM", read_bits_per_cycle=2, write_bits_per_cycle=4)
    assert times(timed(slow)) == (40 + 16 + 12, 8, "DRAM")


def test_a_transfer_faster_than_the_arithmetic_hides_behind_it() -> None:
    """As above at 8 bits: 10 cycles to fill, 4 of reading behind 8 of arithmetic, 12 to drain."""
    fast = with_memory(SQUARE, "DRAM", read_bits_per_cycle=8, write_bits_per_cycle=4)
    assert timed(fast).cycles == 10 + 8 + 12


def test_first_tiles_pass_beside_what_takes_a_port_longer() -> None:
    """Weights at 2 bits: 8 cycles until 4 PEs have theirs and 8 steps are less than the 24 of all
    48 bits. A step's 2 ifmaps come meanwhile, by a bus of 4 bits that needs 32 cycles for 128."""
    assert times(timed(with_bus(SQUARE, "weight", 2))) == (24, 8, "NoC")
    assert times(timed(with_buses(SQUARE, {"weight": 2, "ifmap": 4}))) == (32, 8, "NoC")


def test_a_port_without_first_tiles_waits_for_those_of_others() -> None:
    """Weights at 2 bits: 8 cycles until 4 PEs have theirs. Then 12 psums of 16 bits leave at 4 bits
    in 48 cycles, the last of them after the last step."""
    assert times(timed(with_buses(SQUARE, {"weight": 2, "ofmap": 4}))) == (8 + 48, 8, "NoC")


def test_buffer_bound() -> None:
    """16 words of ifmap of 8 bits, 6 psums read back and 6 drained of 16 bits: 320 bits read.

    At 4 bits a cycle the port never rests.
    """
    narrow = with_memory(SQUARE, "GLB", read_bits_per_cycle=4)
    assert times(timed(narrow)) == (80, 8, "GLB")


def test_a_shared_port_reads_or_writes() -> None:
    """The buffer also takes 8 words of ifmap and 12 psums: 256 bits more, by the same port."""
    narrow = with_memory(
        SQUARE, "GLB", read_bits_per_cycle=4, write_bits_per_cycle=4, shared_port=True
    )
    assert times(timed(narrow)) == (80 + 64, 8, "GLB")


@pytest.mark.parametrize(
    ("tensor", "slot_bits", "cycles"),
    [
        ("ifmap", 1, 16 * 8 / 4),
        ("ifmap", 16, 16 * 16 / 4),
        ("weight", 1, 12 * 4 / 4),
        ("weight", 16, 12 * 16 / 4),
        ("ofmap", 1, 12 * 16 / 4),
    ],
)
def test_bus_bound(tensor: str, slot_bits: int, cycles: float) -> None:
    """4 bits each way carry 16 ifmaps, 12 weights, 12 psums up beside 6 down; in whole slots."""
    narrow = with_bus(SQUARE, tensor, 4, slot_bits)
    assert times(timed(narrow)) == (int(cycles), 8, "NoC")


def test_pads_work_side_by_side() -> None:
    """4 pads of which each reads 24 / 4 weights of 4 bits, at half a bit a cycle: 48 cycles."""
    slow = with_memory(SQUARE, "spad", read_bits_per_cycle=0.5)
    assert times(timed(slow)) == (48, 8, "spad")


def test_pads_are_filled_side_by_side() -> None:
    """Each of 4 pads takes 12 / 4 weights of 4 bits, at half a bit a cycle: 24 cycles."""
    slow = with_memory(SQUARE, "spad", write_bits_per_cycle=0.5)
    assert times(timed(slow)) == (24, 8, "spad")


def test_single_buffers_stall_and_double_or_streaming_ones_do_not() -> None:
    """Two tiles, each of 32 bits of ifmap and 24 of ofmap; 96 bits of weights stream to the pads.

    Streaming: the first tile and weights, 48 bits at 8, take 6 cycles; then 112 bits take 14,
    which hides the 8 steps; the last ofmaps, 24 bits at 4, take 6. Single: filling and draining
    tiles takes 8 and 12, the first weights 2, the others 10.
    """
    slow = with_memory(SQUARE, "DRAM", read_bits_per_cycle=8, write_bits_per_cycle=4)
    cycles = {
        kind: timed(with_memory(slow, "GLB", buffering=kind), TWO_TILES).cycles
        for kind in ("stream", "double", "single")
    }
    assert cycles == {"stream": 26, "double": 26, "single": 8 + 12 + 2 + 10}


def test_a_double_buffer_holds_half() -> None:
    """A tile is 4 ifmaps of 8 bits and 3 psums of 16: 80 bits."""
    for capacity, buffering, held in ((80, "stream", True), (159, "double", False)):
        tight = with_memory(SQUARE, "GLB", capacity_bits=capacity, buffering=buffering)
        if held:
            validate(TWO_TILES, MATMUL, tight)
        else:
            with pytest.raises(MappingError, match="exceed"):
                validate(TWO_TILES, MATMUL, tight)
    validate(TWO_TILES, MATMUL, with_memory(SQUARE, "GLB", capacity_bits=160, buffering="double"))


def test_the_bound_is_named_where_all_waiting_is_in_stalls() -> None:
    """Everything DRAM moves passes a single buffer, so that nothing of it overlaps."""
    nodes: tuple[Node, ...] = (
        Store("DRAM", ("ifmap", "weight", "ofmap")),
        Store("GLB", ("ifmap", "weight", "ofmap")),
        *(Loop(dim, 1) for dim in "NKC"),
    )
    plain = SQUARE.model_validate(
        SQUARE.model_dump()
        | {
            "hierarchy": (
                MemoryLevel(
                    level="DRAM",
                    component="DRAM",
                    memories=(DRAM.model_copy(update={"read_bits_per_cycle": 1}),),
                ),
                MemoryLevel(
                    level="GLB",
                    component="GLB",
                    memories=(GLB.model_copy(update={"buffering": "single"}),),
                ),
            )
        }
    )
    # 8 ifmaps of 8 bits and 12 weights of 4, then 24 MACs one by one.
    found = timed(plain, Mapping(nodes))
    assert times(found) == (64 + 48 + 24, 24, "DRAM")
    assert found.processing_cycles == 24


def test_ragged_spatial_tiles_idle() -> None:
    """5 filters on 4 columns take as long as 8."""
    five, eight = (Layer(name="k", op=Op.LINEAR, K=k) for k in (5, 8))
    mapping = Mapping(
        (
            Store("DRAM", ("ifmap", "weight", "ofmap")),
            Store("GLB", ("ifmap", "ofmap")),
            Loop("K", 2),
            Loop("K", 1, "X"),
            Store("spad", ("weight",)),
        )
    )
    found = [cost(layer, mapping, SQUARE) for layer in (five, eight)]
    assert [each.cycles for each in found] == [3, 4]
    assert [each.utilization for each in found] == [5 / (3 * 4), 8 / (4 * 4)]


@given(cases(timed=True))
@settings(max_examples=60, deadline=None)
def test_no_port_and_no_bus_carries_more_than_its_cycles_allow(case: Case) -> None:
    layer, mapping, machine = case
    found = latency(layer, mapping, machine, transfers(layer, mapping, machine))
    assert found.cycles >= found.compute_cycles == arithmetic_cycles(layer, mapping, machine)
    busy = {name: ceil(cycles - 1e-6) for name, cycles in busy_cycles(case).items()}
    assert all(found.cycles >= cycles for cycles in busy.values())


def busy_cycles(case: Case) -> dict[str, float]:
    """Cycles that DRAM's port, the buffer's port and each bus are in use, from walked words."""
    layer, mapping, machine = case
    shared = {axis: array.shared for array in machine.arrays for axis in array.axes}
    moves = transfers(layer, mapping, machine)
    busy = {}
    for level in ("DRAM", "GLB") if single_glb(mapping) else ("DRAM",):
        memory = machine.level(level).memories[0]
        read = sum(m.parent_read_bits for m in moves if m.link.parent == level)
        read += sum(m.child_read_bits for m in moves if m.link.child == level)
        written = sum(m.parent_write_bits for m in moves if m.link.parent == level)
        written += sum(m.child_write_bits for m in moves if m.link.child == level)
        busy[level] = port_cycles(memory, read, written)
    for link in oracle.walk(layer, mapping, shared=shared, padding=machine.stores_padding):
        if link.parent in ("DRAM", "GLB") and link.child != "GLB":
            record = layer.psum if link.tensor == "ofmap" else layer.tensor(link.tensor)
            for array in machine.arrays:
                slots: float = -(-record.bits // array.noc_slot_bits) * array.noc_slot_bits
                slots = min(slots, coded_bits(layer, machine, link.tensor, link.child))
                width = array.bus_bits_per_cycle.get(link.tensor, inf)
                name = f"{link.tensor} over {next(iter(array.axes))}"
                busy[name] = max(link.reads, link.writes) * slots / width
    return busy


def single_glb(mapping: Mapping) -> bool:
    """Whether the random mapping has no spatial loop before what it keeps in the buffer."""
    nodes = list(mapping)
    kept = [i for i, node in enumerate(nodes) if isinstance(node, Store) and node.level == "GLB"]
    return not any(isinstance(n, Loop) and n.axis for n in nodes[: max(kept, default=0)])


def port_cycles(memory: Memory, read_bits: float, write_bits: float) -> float:
    reading = read_bits / (memory.read_bits_per_cycle or inf)
    writing = write_bits / (memory.write_bits_per_cycle or inf)
    return reading + writing if memory.shared_port else max(reading, writing)


COUNTS = ("reads", "delivered", "collected", "writes")
TILES = ("first_words", "tile_words")


@given(cases(timed=True), st.data())
@settings(max_examples=100, deadline=None)
def test_no_time_falls_when_something_grows(case: Case, data: st.DataObject) -> None:
    """Whatever it is: one count of one link, one of its tiles, starts, skew or arithmetic."""
    moves = list(transfers(*case))
    at = data.draw(st.integers(0, len(moves) - 1))
    fixed = {name: data.draw(st.integers(1, 60)) for name in ("starts", "skew", "compute")}
    more = data.draw(st.sampled_from((1, 2, 7, 300)))
    what = data.draw(st.sampled_from((*COUNTS, *TILES, *fixed)))
    before = spans(moves, **fixed)
    if what in fixed:
        fixed[what] += more
    elif what in TILES:
        moves[at] = replace(moves[at], **{what: getattr(moves[at], what) + more})
    else:
        link = replace(moves[at].link, **{what: getattr(moves[at].link, what) + more})
        moves[at] = replace(moves[at], link=link)
    after = spans(moves, **fixed)
    assert all(late >= early - 1e-6 for early, late in zip(before, after, strict=True))


def spans(
    moves: Iterable[Transfer], *, starts: int, skew: int, compute: int
) -> tuple[float, float]:
    loads = [Load.of(move, starts) for move in moves]
    return elapsed(loads, skew=starts * skew, compute=compute)


@given(cases(timed=True), st.sampled_from(("DRAM", "GLB", "spad", "latch")))
@settings(max_examples=40, deadline=None)
def test_more_bandwidth_never_takes_more_cycles(case: Case, level: str) -> None:
    layer, mapping, machine = case
    unlimited = with_memory(machine, level, read_bits_per_cycle=None, write_bits_per_cycle=None)
    assert timed(unlimited, mapping, layer).cycles <= timed(machine, mapping, layer).cycles


@given(cases(timed=True), st.sampled_from(("GLB", "spad", "latch")))
@settings(max_examples=40, deadline=None)
def test_overlapping_never_takes_more_cycles_than_stalling(case: Case, level: str) -> None:
    layer, mapping, machine = case
    single, double, stream = (
        timed(with_memory(machine, level, buffering=kind), mapping, layer).cycles
        for kind in ("single", "double", "stream")
    )
    assert stream == double <= single


def test_a_larger_buffer_takes_the_same_time_under_the_same_mapping() -> None:
    roomy = with_memory(SQUARE, "GLB", capacity_bits=2 * sized(GLB, 10**6).usable_bits)
    assert timed(roomy) == timed(SQUARE)


@pytest.mark.parametrize(
    "layer",
    [
        Layer(name="whole", K=64, C=96, P=14, Q=13),
        Layer(name="window", K=256, C=256, P=14, Q=14, R=3, S=3, pad_h=1, pad_w=1),
    ],
    ids=lambda layer: layer.name,
)
def test_a_skewed_array_takes_a_systolic_arrays_cycles(layer: Layer) -> None:
    """`hwsim.systolic` is checked against clocked registers. Memories are without limit here;
    weights shift in behind the present fold, so that 31 + 31 hops are paid for once."""
    machine = load_machine("systolic_ws")
    for level in machine.levels:
        machine = with_memory(
            machine, level.level, read_bits_per_cycle=None, write_bits_per_cycle=None
        )
    array = SystolicArray(rows=32, columns=32, dataflow="ws", preload="overlapped")
    narrow = replace(layer, ifmap=Tensor(bits=8), weight=Tensor(bits=8), psum=Tensor(bits=32))
    found = best_mapping(narrow, machine, objective="cycles")[1]
    assert found.cycles == pytest.approx(systolic_cost(gemm(layer), array).cycles, abs=2)
