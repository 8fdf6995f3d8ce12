"""Cycles of a mapped layer: arithmetic, ports and buses, and what cannot overlap.

Filling and draining a `single` buffer stops the PEs; arithmetic and all other transfers run side
by side, once the first tiles are in and until the last one is out. Cycles are therefore

    stalls + first tiles in + max(arithmetic, each port's and bus's remaining time) + last tile out
"""

from collections import defaultdict
from dataclasses import dataclass
from math import ceil

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
    busy, stalled = _busy_cycles(moves), _stall_cycles(moves)
    waits_in = max((_pipeline_cycles(m) for m in moves if m.link.tensor != "ofmap"), default=0.0)
    waits_out = sum(_pipeline_cycles(m) for m in moves if m.link.tensor == "ofmap")
    cycles = sum(stalled.values()) + waits_in + max(compute, *busy.values()) + waits_out
    totals = {COMPUTE: float(compute)}
    for name in busy:
        totals[name] = busy[name] + stalled.get(name, 0.0)
    return Latency(
        cycles=ceil(cycles),
        compute_cycles=compute,
        bound=max(totals, key=lambda name: totals[name]),
    )


def _stalls(move: Transfer) -> bool:
    return move.child is not None and move.child.buffering == "single"


def _stall_cycles(moves: tuple[Transfer, ...]) -> dict[str, float]:
    """By the level they wait for, cycles in which `single` buffers are filled or drained."""
    stalled: dict[str, float] = defaultdict(float)
    for move in moves:
        if _stalls(move):
            stalled[move.link.parent] += _own_cycles(move)
    return stalled


def _own_cycles(move: Transfer) -> float:
    """Cycles of one transfer by itself: the slower of its two ends."""
    parent = _port_cycles(
        move.parent, move.parent_read_bits, move.parent_write_bits, move.parent_instances
    )
    if move.child is None:
        return parent
    child = _port_cycles(
        move.child, move.child_read_bits, move.child_write_bits, move.child_instances
    )
    return max(parent, child)


def _port_cycles(memory: Memory, read_bits: float, write_bits: float, instances: int) -> float:
    """Cycles that a memory's ports need; no bandwidth given means no limit."""
    reads = read_bits / instances / (memory.read_bits_per_cycle or float("inf"))
    writes = write_bits / instances / (memory.write_bits_per_cycle or float("inf"))
    return reads + writes if memory.shared_port else max(reads, writes)


def _pipeline_share(move: Transfer) -> float:
    """The share of a transfer that the rest of the machine waits for."""
    total = move.parent_read_bits + move.parent_write_bits
    return 0.0 if _stalls(move) or not total else move.pipeline_bits / total


def _pipeline_cycles(move: Transfer) -> float:
    """Cycles that the rest of the machine waits for a transfer's first or last tile."""
    return _own_cycles(move) * _pipeline_share(move)


def _busy_cycles(moves: tuple[Transfer, ...]) -> dict[str, float]:
    """By level, cycles that its busiest memory is in use while the PEs run; and the NoC's."""
    running = [move for move in moves if not _stalls(move)]
    cycles: dict[str, float] = defaultdict(float)
    for (level, _), (memory, instances, read_bits, write_bits) in _ports(running).items():
        cycles[level] = max(cycles[level], _port_cycles(memory, read_bits, write_bits, instances))
    for move in running:
        cycles["NoC"] = max(cycles["NoC"], _bus_cycles(move))
    return cycles


def _ports(moves: list[Transfer]) -> dict[tuple[str, str], tuple[Memory, int, float, float]]:
    """(memory, busy instances, bits read, bits written) by level and the memory's tensors."""
    ports: dict[tuple[str, str], tuple[Memory, int, float, float]] = {}

    def add(level: str, memory: Memory, instances: int, read: float, written: float) -> None:
        key = level, "+".join(memory.tensors)
        _, _, reads, writes = ports.get(key, (memory, instances, 0.0, 0.0))
        ports[key] = memory, instances, reads + read, writes + written

    for move in moves:
        rest = 1.0 - _pipeline_share(move)
        read, written = rest * move.parent_read_bits, rest * move.parent_write_bits
        add(move.link.parent, move.parent, move.parent_instances, read, written)
        if move.child:
            read, written = rest * move.child_read_bits, rest * move.child_write_bits
            add(move.link.child, move.child, move.child_instances, read, written)
    return ports


def _bus_cycles(move: Transfer) -> float:
    """Cycles that the narrowest bus a transfer crosses needs."""
    bits = (1.0 - _pipeline_share(move)) * move.bus_words * move.word_bits
    widths = [array.bus_bits_per_cycle.get(move.tensor) for array in move.arrays]
    return max((bits / width for width in widths if width), default=0.0)
