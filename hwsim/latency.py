"""Cycles of a mapped layer: arithmetic, ports and buses, and what cannot overlap.

Filling and draining a `single` buffer stops the PEs. Each time one was filled the pipeline starts
anew: the first tiles must reach the PEs before they work, a skewed array starts one PE after the
other, and the last tile must leave afterwards. All else runs side by side, what feeds the buffers
beside all that the PEs do:

    cycles = stalls + first tiles into the buffers + work + last tile out of the buffers
    work   = max(PEs, each port's and bus's remaining time)
    PEs    = stalls + restarts x (first tiles in, skew, last tile out)
             + max(arithmetic, ports and buses)

No port and no bus is ever given less time than its bits need. `hwsim.engine` plays the same rules
event by event, and never needs less.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import ceil, inf

from hwsim.hardware import Accelerator, Mac, Memory
from hwsim.mapping import Mapping
from hwsim.reuse import executions
from hwsim.skipping import compute_cycles
from hwsim.traffic import Transfer
from hwsim.workload import RELEVANT, Layer

COMPUTE = "compute"

Arithmetic = Callable[[Layer, Mapping, Mac], int]


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Cycles in all, without waiting for the buffers above the PEs, and of arithmetic alone.

    `processing_cycles` leaves out the time in which `single` buffers above the PEs are filled and
    drained, as the processing latency of JSSC 2017 (Tables V and VI) leaves out DRAM's. `bound`
    names what is busy longest.
    """

    cycles: int
    processing_cycles: int
    compute_cycles: int
    bound: str


def latency(
    layer: Layer,
    mapping: Mapping,
    machine: Accelerator,
    moves: tuple[Transfer, ...],
    *,
    arithmetic: Arithmetic = compute_cycles,
) -> Latency:
    """Cycles of a layer whose transfers are known; `arithmetic` counts those of the MACs."""
    compute = arithmetic(layer, mapping, machine.mac)
    restarted = restarts(layer, mapping, moves)
    ramps = [_ramp(move, restarted) for move in moves if not stalls(move)]
    inner = [ramp for ramp in ramps if ramp.move.into_pe]
    outer = [ramp for ramp in ramps if not ramp.move.into_pe]
    waits = [move for move in moves if stalls(move) and not move.into_pe]
    pes = (
        sum(_stall_cycles(move) for move in moves if stalls(move) and move.into_pe)
        + _ramp_cycles(inner)
        + restarted * sum(array.skew_cycles for array in machine.arrays)
        + max(compute, *_busy_cycles((ramp.move, ramp.rest) for ramp in inner).values())
    )
    beside = [(move, 1.0) for move in moves if move.into_pe]
    beside += [(ramp.move, ramp.rest) for ramp in outer]
    processing = _ramp_cycles(outer) + max(pes, *_busy_cycles(beside).values())
    totals = {COMPUTE: float(compute)} | _busy_cycles((move, 1.0) for move in moves)
    return Latency(
        cycles=_whole(processing + sum(_stall_cycles(move) for move in waits)),
        processing_cycles=_whole(processing),
        compute_cycles=compute,
        bound=max(totals, key=lambda name: totals[name]),
    )


def _whole(cycles: float) -> int:
    """Cycles begun, but for what the last bits of a sum may have added."""
    return ceil(round(cycles, 3))


def stalls(move: Transfer) -> bool:
    """Whether the PEs wait while this transfer fills or drains its `single` buffer."""
    return move.child is not None and move.child.buffering == "single"


def restarts(layer: Layer, mapping: Mapping, moves: Iterable[Transfer]) -> int:
    """How often the pipeline starts: once for each time that some `single` buffer is filled."""
    fills = (
        index + 1
        for move in moves
        if stalls(move)
        for index, loop in enumerate(mapping.loops[: move.above_child])
        if not loop.axis and loop.dim in RELEVANT[move.tensor]
    )
    return executions(layer, mapping, max(fills, default=0))


@dataclass(frozen=True)
class _Ramp:
    """Shares of a transfer that the rest waits for: at the first start, and at all later ones."""

    move: Transfer
    first: float
    later: float

    @property
    def rest(self) -> float:
        """The share that runs beside everything else."""
        return 1.0 - self.first - self.later


def _ramp(move: Transfer, restarted: int) -> _Ramp:
    first = min(1.0, move.pipeline_share)
    later = min(1.0 - first, first * (restarted - 1)) if move.into_pe else 0.0
    return _Ramp(move, first, later)


def _ramp_cycles(ramps: Sequence[_Ramp]) -> float:
    """Cycles of first tiles in, side by side, and of last tiles out."""
    inwards = [ramp for ramp in ramps if ramp.move.tensor != "ofmap"]
    outwards = [ramp for ramp in ramps if ramp.move.tensor == "ofmap"]
    first = _busy_cycles((ramp.move, ramp.first) for ramp in inwards)
    later = _busy_cycles((ramp.move, ramp.later) for ramp in inwards)
    last = sum(own_cycles(ramp.move, ramp.first + ramp.later) for ramp in outwards)
    return max(first.values(), default=0.0) + max(later.values(), default=0.0) + last


def _stall_cycles(move: Transfer) -> float:
    """Cycles to fill and to drain a buffer, one after the other."""
    fill = replace(move, parent_write_bits=0.0, child_read_bits=0.0, bus_words=move.link.reads)
    drain = replace(move, parent_read_bits=0.0, child_write_bits=0.0, bus_words=move.link.writes)
    return own_cycles(fill) + own_cycles(drain)


def own_cycles(move: Transfer, share: float = 1.0) -> float:
    """Cycles of a transfer, or a share of it, by itself: the slowest of its ports and buses."""
    return max(_busy_cycles([(move, share)]).values())


def _busy_cycles(parts: Iterable[tuple[Transfer, float]]) -> dict[str, float]:
    """By level, and for the NoC, cycles that the busiest port or bus needs for these shares."""
    cycles: dict[str, float] = defaultdict(float)
    ports: dict[tuple[str, str], _Port] = {}
    for move, share in parts:
        for level, port in _ports(move, share):
            key = level, "+".join(port.memory.tensors)
            ports[key] = port.joined(ports.get(key))
        cycles["NoC"] = max(cycles["NoC"], share * _bus_cycles(move))
    for (level, _), port in ports.items():
        cycles[level] = max(cycles[level], port.cycles)
    return cycles


@dataclass(frozen=True)
class _Port:
    """What passes the ports of one memory, the average of its busy instances."""

    memory: Memory
    read_bits: float
    write_bits: float

    def joined(self, other: "_Port | None") -> "_Port":
        """Both loads at once."""
        if other is None:
            return self
        read_bits, write_bits = self.read_bits + other.read_bits, self.write_bits + other.write_bits
        return _Port(self.memory, read_bits, write_bits)

    @property
    def cycles(self) -> float:
        """Cycles that the ports need; no bandwidth given means no limit."""
        reads = self.read_bits / (self.memory.read_bits_per_cycle or inf)
        writes = self.write_bits / (self.memory.write_bits_per_cycle or inf)
        return reads + writes if self.memory.shared_port else max(reads, writes)


def _ports(move: Transfer, share: float) -> Iterator[tuple[str, _Port]]:
    """The level and load of a transfer's two ends."""
    each = share / move.parent_instances
    bits = each * move.parent_read_bits, each * move.parent_write_bits
    yield move.link.parent, _Port(move.parent, *bits)
    if move.child:
        each = share / move.child_instances
        bits = each * move.child_read_bits, each * move.child_write_bits
        yield move.link.child, _Port(move.child, *bits)


def _bus_cycles(move: Transfer) -> float:
    """Cycles that the narrowest bus a transfer crosses needs."""
    widths = ((array, array.bus_bits_per_cycle.get(move.tensor, inf)) for array in move.arrays)
    return max(
        (move.bus_words * array.word_bits(move.word_bits) / width for array, width in widths),
        default=0.0,
    )
