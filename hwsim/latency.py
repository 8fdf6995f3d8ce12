"""Cycles of a mapped layer: arithmetic, ports and buses, and what cannot overlap.

Filling and draining a `single` buffer stops the PEs; arithmetic and all other transfers run side
by side, once the first tiles are in and until the last one is out. Cycles are therefore

    stalls + first tiles in + max(arithmetic, each port's and bus's remaining time) + last tile out

No port and no bus is ever given less time than its bits need.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import ceil, inf

from hwsim.hardware import Accelerator, Memory
from hwsim.mapping import Mapping
from hwsim.reuse import compute_steps
from hwsim.traffic import Transfer
from hwsim.workload import Layer

COMPUTE = "compute"


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Cycles in all and of arithmetic alone; `bound` names what is busy longest."""

    cycles: int
    compute_cycles: int
    bound: str


def latency(
    layer: Layer, mapping: Mapping, machine: Accelerator, moves: tuple[Transfer, ...]
) -> Latency:
    """Cycles of a layer whose transfers are known."""
    compute = compute_steps(layer, mapping)
    running = [move for move in moves if not _stalls(move)]
    inputs = [move for move in running if move.tensor != "ofmap"]
    outputs = [move for move in running if move.tensor == "ofmap"]
    first = _busy_cycles((move, move.pipeline_share) for move in inputs)
    rest = _busy_cycles((move, 1.0 - move.pipeline_share) for move in running)
    cycles = (
        sum(_own_cycles(move) for move in moves if _stalls(move))
        + max(first.values(), default=0.0)
        + max(compute, *rest.values())
        + sum(_own_cycles(move, move.pipeline_share) for move in outputs)
    )
    totals = {COMPUTE: float(compute)} | _busy_cycles((move, 1.0) for move in moves)
    return Latency(
        cycles=ceil(cycles),
        compute_cycles=compute,
        bound=max(totals, key=lambda name: totals[name]),
    )


def _stalls(move: Transfer) -> bool:
    return move.child is not None and move.child.buffering == "single"


def _own_cycles(move: Transfer, share: float = 1.0) -> float:
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
