"""The engine against the analytic model, hand-worked schedules, SimPy's resources and silicon."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from math import isclose
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simpy import Environment, Resource

from hwsim._floor import Floor, Steps
from hwsim.engine import Execution, Task, run
from hwsim.hardware import Accelerator, Array, load_machine
from hwsim.latency import Latency, restarts, stalls
from hwsim.mapping import Loop, Mapping, Store
from hwsim.ports import PES, Port, demand, port_names
from hwsim.reuse import compute_steps
from hwsim.schedule import Job
from hwsim.simulate import best_mapping
from hwsim.trace import FOLDED, STALL
from hwsim.traffic import Transfer, transfers
from hwsim.workload import TENSORS, Layer, Op, Tensor
from tests.eyeriss import ALEXNET, CHIP, EYERISS, chip_task
from tests.machines import MATMUL, SQUARE, STATIONARY, Case, cases, dram_level, glb_level, machine
from tests.strategies import layers, mappings
from tests.test_latency import TWO_TILES, timed, with_memory

FEED = "first tiles into the buffers"
SEND = "last tile out of the buffers"


def executed(case: Case, *, fast_forward: bool = True) -> Execution:
    layer, mapping, where = case
    return run([(layer, mapping)], where, fast_forward=fast_forward)


def analytic(case: Case) -> Latency:
    layer, mapping, where = case
    return timed(where, mapping, layer)


def counts(found: Execution) -> tuple[object, ...]:
    """All but the trace."""
    cycles = found.cycles, found.processing_cycles, found.compute_cycles
    return *cycles, found.busy_cycles, found.stall_cycles


# Laws


def skewed(case: Case) -> Case:
    """The same on systolic arrays."""
    layer, mapping, where = case
    parts = tuple(
        part.model_copy(update={"skewed": True}) if isinstance(part, Array) else part
        for part in where.hierarchy
    )
    return layer, mapping, where.model_copy(update={"hierarchy": parts})


@given(cases(timed=True), st.booleans())
@settings(max_examples=75, deadline=None)
def test_never_fewer_cycles_than_the_analytic_model(case: Case, systolic: bool) -> None:
    case = skewed(case) if systolic else case
    found, expected = executed(case), analytic(case)
    assert found.compute_cycles == expected.compute_cycles
    assert found.cycles >= expected.cycles
    assert found.processing_cycles >= expected.processing_cycles


@given(cases(timed=True))
@settings(max_examples=75, deadline=None)
def test_no_more_than_the_analytic_model_and_contention(case: Case) -> None:
    """So that both are equal where nothing contends; whole cycles are begun twice in the sum."""
    found = executed(case)
    more = found.contention_cycles + uneven_cycles(case)
    assert found.cycles - more <= analytic(case).cycles + 1


def uneven_cycles(case: Case) -> float:
    """How much longer tiles are waited for where the first start's take another port longest than
    those of the later starts, as the sums over all starts do not tell."""
    layer, mapping, where = case
    moves = transfers(layer, mapping, where)
    ramps = [move for move in moves if move.into_pe and not stalls(move)]
    together = [[move for move in ramps if not move.leaves]]
    alone = [[move] for move in ramps if move.leaves]

    def waited(group: list[Transfer], starts: int) -> Counter[Port]:
        tiles = [demand(move.waited(starts)) for move in group]
        loads = [load for each in tiles for load in (each.inward, each.outward)]
        return sum((Counter(load) for load in loads), Counter())

    more = 0.0
    for group in together + alone:
        first, every = waited(group, 1), waited(group, restarts(layer, mapping, moves))
        starts = (first, every - first, every)
        one, later, both = (max(load.values(), default=0.0) for load in starts)
        more += one + later - both
    return more


@given(cases(timed=True))
@settings(max_examples=100, deadline=None)
def test_every_moment_is_computed_or_stood_for_a_cause(case: Case) -> None:
    found = executed(case)
    total = found.compute_cycles + sum(found.stall_cycles.values())
    assert isclose(total, found.cycles, abs_tol=1.0)


@given(cases(timed=True))
@settings(max_examples=100, deadline=None)
def test_ports_and_buses_are_busy_for_their_whole_load(case: Case) -> None:
    layer, mapping, where = case
    load, names = dict.fromkeys(executed(case).busy_cycles, 0.0), port_names(where)
    for move in transfers(layer, mapping, where):
        taken = demand(move)
        for cycles in (taken.inward, taken.outward):
            for port, each in cycles.items():
                load[names[port]] += each
    busy = executed(case).busy_cycles
    load[PES] = busy[PES]
    assert busy == pytest.approx(load, abs=1e-3)
    assert max(busy.values()) <= executed(case).cycles + 1e-3


@given(cases(timed=True))
@settings(max_examples=75, deadline=None)
def test_folding_changes_nothing(case: Case) -> None:
    assert counts(executed(case)) == counts(executed(case, fast_forward=False))


@st.composite
def several(draw: st.DrawFn) -> tuple[list[Task], Accelerator]:
    """Up to three layers for one machine."""
    layer, mapping, where = draw(cases(timed=True))
    tasks = [(layer, mapping)]
    for _ in range(draw(st.integers(1, 2))):
        other = draw(layers(points=120))
        tasks.append((other, draw(mappings(other))))
    return tasks, where


@given(several())
@settings(max_examples=80, deadline=None)
def test_layers_together_are_no_slower_than_one_by_one(
    work: tuple[list[Task], Accelerator],
) -> None:
    tasks, where = work
    together, alone = run(tasks, where), [run([task], where) for task in tasks]
    assert counts(together) == counts(run(tasks, where, fast_forward=False))
    assert max(each.cycles for each in alone) <= together.cycles
    assert together.cycles <= sum(each.cycles for each in alone)
    for port, cycles in together.busy_cycles.items():
        assert cycles == pytest.approx(sum(x.busy_cycles[port] for x in alone), abs=1e-3)


def test_the_same_inputs_give_the_same_execution() -> None:
    assert repr(run([(MATMUL, STATIONARY)], SQUARE)) == repr(run([(MATMUL, STATIONARY)], SQUARE))


# Hand-worked schedules


def test_without_bandwidths_the_steps_are_the_cycles() -> None:
    found = run([(MATMUL, STATIONARY)], SQUARE)
    assert (found.cycles, found.stall_cycles, found.busy_cycles) == (8, {}, {PES: 8.0})


def test_single_buffers_are_filled_and_drained_while_the_pes_stand() -> None:
    """As `test_latency` works it out: two tiles of 32 bits in at 8 a cycle, two of 24 out at 4.
    The first weights take 2 cycles; the others, 80 bits in 8 passes of a step, 10 beside them."""
    slow = with_memory(SQUARE, "DRAM", read_bits_per_cycle=8, write_bits_per_cycle=4)
    found = run([(MATMUL, TWO_TILES)], with_memory(slow, "GLB", buffering="single"))
    assert found.stall_cycles["GLB fill ifmap"] == 2 * 32 / 8
    assert found.stall_cycles["GLB drain ofmap"] == 2 * 24 / 4
    assert found.processing_cycles == found.cycles - 8 - 12


ROWS = Layer(name="rows", N=4, C=8, Q=5).at_bits(ifmap=8, weight=8, ofmap=8, psum=8)
IMAGES = Mapping(
    (
        Store("DRAM", TENSORS),
        Store("GLB", ("weight",)),
        Loop("N", 1),
        Store("GLB", ("ifmap", "ofmap")),
        *(Loop(dim, 1) for dim in "CQ"),
    )
)


def flat(buffering: str, read: float, write: float) -> Accelerator:
    """DRAM and a buffer, each image's ifmap 8 x 5 words and 40 steps of work."""
    wide = with_memory(machine(dram_level(), glb_level()), "GLB", buffering=buffering)
    return with_memory(wide, "DRAM", read_bits_per_cycle=read, write_bits_per_cycle=write)


def test_a_tile_ahead_hides_behind_the_work() -> None:
    """Weights, 64 bits, and the first image, 320, come at 16 bits: 24 cycles; then 4 x 40 steps,
    beside which the other images take 20 each; 40 bits of ofmap leave last, at 8."""
    found = run([(ROWS, IMAGES)], flat("double", 16, 8))
    assert found.stall_cycles == {FEED: 24.0, SEND: 5.0}
    assert found.cycles == analytic((ROWS, IMAGES, flat("double", 16, 8))).cycles == 24 + 160 + 5


def test_tiles_that_come_late_leave_the_last_work_uncovered() -> None:
    """At 4 bits the head is 96 cycles and an image 80: each of the other three is waited for, 40
    cycles beside the work of the one before it and 40 more. The sums see 96 + 3 x 80 + 5 alone."""
    slow = flat("double", 4, 8)
    found = run([(ROWS, IMAGES)], slow)
    assert found.stall_cycles == {"late: GLB fill ifmap": 3 * 40.0, FEED: 96.0, SEND: 5.0}
    assert found.cycles == 96 + 3 * 80 + 40 + 5
    assert analytic((ROWS, IMAGES, slow)).cycles == 96 + 3 * 80 + 5


def test_tiles_that_leave_late_hold_the_next_one_up() -> None:
    """An image's 40 bits of ofmap take 80 cycles at half a bit: the second pass ends at 80, its
    tile goes at 120, when the first has gone, the third's at 200, the last at 280, until 360."""
    found = run([(ROWS, IMAGES)], flat("double", 64, 0.5))
    assert found.stall_cycles["late: GLB drain ofmap"] == 280 - 4 * 40
    assert found.cycles == 6 + 280 + 80


def test_a_smaller_tile_that_leaves_is_no_repetition() -> None:
    """Three rows of two images and of one more, an ofmap each: nine words of 4 bits at half a bit,
    72 cycles; the last rows' passes look alike, but before the first of them two words leave."""
    ofmap = Tensor(bits=4)
    layer = Layer(name="pool", op=Op.POOL, N=3, P=3, H=3, W=1, ifmap=ofmap, ofmap=ofmap, psum=ofmap)
    nodes = (Store("DRAM", ("ifmap", "ofmap")), Loop("N", 2), Loop("P", 1))
    nest = Mapping((*nodes, Store("GLB", ("ofmap",)), Loop("N", 1)))
    where = with_memory(machine(), "GLB", read_bits_per_cycle=0.5, bypass=True)
    case = layer, nest, with_memory(where, "spad", bypass=True)
    assert executed(case).busy_cycles["GLB read"] == 72.0
    assert counts(executed(case)) == counts(executed(case, fast_forward=False))


def test_spans_are_what_the_counts_say() -> None:
    found = run([(ROWS, IMAGES)], flat("double", 4, 8), fast_forward=False)
    for lane, cycles in found.busy_cycles.items():
        spans = [span for span in found.trace.spans if span.lane == lane]
        assert sum(span.end - span.start for span in spans) == pytest.approx(cycles)
        assert all(a.end <= b.start + 1e-6 for a, b in pairwise(spans))
    stood = [span for span in found.trace.spans if span.lane == STALL]
    assert {span.label for span in stood} == set(found.stall_cycles)
    assert found.trace.spans[-1].end == found.cycles


def test_weights_of_the_next_layer_come_while_the_link_is_idle() -> None:
    """The second layer's 64 bits of weights come during the first one's last 160 steps: it waits
    for its first image alone."""
    where = flat("double", 16, 8)
    second = replace(ROWS, name="next")
    found = run([(ROWS, IMAGES), (second, IMAGES)], where)
    assert found.cycles == 2 * (24 + 160 + 5) - 64 / 16
    ahead = [span for span in found.trace.spans if span.label.startswith("ahead")]
    assert [(span.layer, span.tensor) for span in ahead] == [("rows", "weight")]


# Ports, beside SimPy's own resources


@pytest.mark.parametrize("seed", range(5))
def test_a_floor_serves_as_simpys_resources_do(seed: int) -> None:
    random = Random(seed)
    jobs = [
        (random.randrange(40), Job("job", "", tuple((p, random.randrange(1, 9)) for p in ports)))
        for ports in ([0], [0, 1], [1, 2], [0, 2], [0, 1, 2]) * 4
    ]
    jobs.sort(key=lambda job: job[0])
    assert on_a_floor(jobs) == on_resources(jobs)


def on_a_floor(jobs: Sequence[tuple[int, Job]]) -> list[int]:
    floor = Floor(("a", "b", "c", PES), trace=False)
    ends: list[int] = []

    def come() -> Steps:
        for start, job in jobs:
            yield floor.env.timeout(start - floor.env.now)
            ends.append(floor.carry(job))

    floor.env.run(until=floor.env.process(come()))
    return ends


def on_resources(jobs: Sequence[tuple[int, Job]]) -> list[int]:
    env, ends = Environment(), dict.fromkeys(range(len(jobs)), 0)
    ports = [Resource(env, capacity=1) for _ in range(3)]

    def served(index: int, port: int, ticks: int) -> Steps:
        with ports[port].request() as turn:
            yield turn
            yield env.timeout(ticks)
        ends[index] = max(ends[index], int(env.now))

    def come() -> Steps:
        for index, (start, job) in enumerate(jobs):
            yield env.timeout(start - env.now)
            for port, ticks in job.loads:
                env.process(served(index, port, ticks))

    env.process(come())
    env.run()
    return list(ends.values())


# Chips


def dense(name: str) -> Case:
    return *chip_task(name), EYERISS


@pytest.mark.parametrize("name", ALEXNET)
def test_alexnet_on_eyeriss_is_as_analytic(name: str) -> None:
    """The paper's passes are alike, and filters come a pass ahead. Nothing outlasts the arithmetic
    but the psum bus under CONV3's printed mapping, in every pass but those that read none back."""
    found, expected = executed(dense(name)), analytic(dense(name))
    assert (found.contention_cycles > 1) == (name == "CONV3")
    assert found.cycles == pytest.approx(expected.cycles, rel=2e-4 if name == "CONV3" else 0)
    assert counts(found) == counts(executed(dense(name), fast_forward=False))
    assert any(span.lane == FOLDED for span in found.trace.spans)


@pytest.mark.parametrize("name", ["CONV1-1", "CONV1-2", "CONV2-1", "CONV2-2"])
def test_vggs_early_layers_wait_for_the_psums_of_the_buffer(name: str) -> None:
    """Psums of 32 filters x 13 rows x 112 columns pass the 64-bit bus for each channel: 11,648
    cycles, beside 2,688 of arithmetic. Within 10 % of Table VI of JSSC 2017."""
    found, published_ms = executed(dense(name)), CHIP[name].row["processing_ms"]
    processing_ms = found.processing_cycles / EYERISS.clock_mhz / 1e3
    print(f"{name}: {processing_ms:.1f} ms of processing, published {published_ms}")
    assert processing_ms == pytest.approx(published_ms, rel=0.10)
    psums = sum(found.stall_cycles.get(f"psum bus {way}", 0.0) for way in ("in", "out"))
    assert psums == pytest.approx(found.contention_cycles, rel=0.01)
    assert psums > 0.6 * found.processing_cycles
    assert found.compute_cycles < 0.3 * found.processing_cycles


def test_a_machine_that_skips_zeros_skips_them_here_too() -> None:
    """Its passes take as much less time as the analytic model's arithmetic."""
    skipping = load_machine("zero_skipping")
    sparse = Tensor(bits=8, density=0.4)
    layer = replace(chip_task("CONV5", 1)[0], ifmap=sparse, weight=sparse, ofmap=sparse)
    layer = layer.at_bits(ifmap=8, weight=8, ofmap=8, psum=24)
    case = layer, best_mapping(layer, skipping)[0], skipping
    found, expected = executed(case), analytic(case)
    assert found.compute_cycles == pytest.approx(expected.compute_cycles, abs=1)
    assert found.compute_cycles < 0.5 * compute_steps(layer, case[1])
    assert found.cycles >= expected.cycles


@pytest.mark.parametrize("op", [Op.CONV, Op.LINEAR])
def test_folding_changes_nothing_where_tiles_stream(op: Op) -> None:
    """Buffers a tile ahead, whose bursts overlap passes: periods are longer than a pass."""
    systolic = load_machine("systolic_ws")
    layer = {
        Op.CONV: Layer(name="conv", K=64, C=64, P=28, Q=30, R=3, S=3, pad_h=1, pad_w=1),
        Op.LINEAR: Layer(name="fc", op=Op.LINEAR, N=4, K=1000, C=512),
    }[op].at_bits(ifmap=8, weight=8, ofmap=8, psum=32)
    case = layer, best_mapping(layer, systolic)[0], systolic
    found = executed(case)
    assert counts(found) == counts(executed(case, fast_forward=False))
    assert any(span.lane == FOLDED for span in found.trace.spans)
