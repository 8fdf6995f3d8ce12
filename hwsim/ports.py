"""The ports and buses of a machine, and the cycles for which a transfer holds each of them.

Every memory has a read and a write port, or one for both; every array a bus inwards and a bus
outwards for each tensor. What has no given width takes no time and is left out. Widths are bits per
core cycle, so that a link with a clock of its own is already in core cycles: the Eyeriss chip's, 64
bits at 60 MHz, carries 19.2 bits in each cycle at 200 MHz.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from hwsim.hardware import Accelerator, Array, Memory
from hwsim.traffic import Transfer
from hwsim.workload import TENSORS

PES = "PEs"
Cycles = dict[str, Fraction]
Way = tuple[str, float | None]


@dataclass(frozen=True)
class Demand:
    """Cycles that a transfer takes of each port and bus: towards the MACs, and from them.

    Of several instances of a memory the average one counts, as in `hwsim.latency`.
    """

    inward: Cycles
    outward: Cycles


def port_names(machine: Accelerator) -> tuple[str, ...]:
    """Every port and bus that has a width, outermost first, and the PEs."""
    return (*dict.fromkeys(name for name, width in _ways(machine) if width), PES)


def demand(move: Transfer, machine: Accelerator) -> Demand:
    """What a whole transfer takes of the ports at its ends and of the buses between them."""
    inward: dict[str, Fraction] = defaultdict(Fraction)
    outward: dict[str, Fraction] = defaultdict(Fraction)
    parent, child, bus_bits = move.link.parent, move.link.child, move.word_bits
    each = Fraction(1, move.parent_instances)
    _load(inward, _port(machine, parent, move.parent, "read"), each, move.parent_read_bits)
    _load(outward, _port(machine, parent, move.parent, "write"), each, move.parent_write_bits)
    if move.child:
        each = Fraction(1, move.child_instances)
        _load(inward, _port(machine, child, move.child, "write"), each, move.child_write_bits)
        _load(outward, _port(machine, child, move.child, "read"), each, move.child_read_bits)
    for array in move.arrays:
        word = Fraction(array.word_bits(bus_bits))
        _load(inward, _bus(machine, array, move.tensor, "in"), word, move.link.reads)
        _load(outward, _bus(machine, array, move.tensor, "out"), word, move.link.writes)
    return Demand(dict(inward), dict(outward))


def _load(cycles: dict[str, Fraction], way: Way, factor: Fraction, amount: float) -> None:
    """Adds the time in which an amount passes; without a width it takes none."""
    name, width = way
    if width and amount:
        cycles[name] += factor * Fraction(amount) / Fraction(width)


def _ways(machine: Accelerator) -> Iterator[Way]:
    for part in machine.hierarchy:
        if isinstance(part, Array):
            for tensor in TENSORS:
                yield from (_bus(machine, part, tensor, way) for way in ("in", "out"))
        else:
            for memory in part.memories:
                yield from (_port(machine, part.level, memory, way) for way in ("read", "write"))


def _port(machine: Accelerator, level: str, memory: Memory, way: str) -> Way:
    """A memory's port: named after its level, its tensors where it has neighbours, and its way."""
    alone = len(machine.level(level).memories) == 1
    name = level if alone else f"{level} {'+'.join(memory.tensors)}"
    width = memory.read_bits_per_cycle if way == "read" else memory.write_bits_per_cycle
    return name if memory.shared_port else f"{name} {way}", width


def _bus(machine: Accelerator, array: Array, tensor: str, way: str) -> Way:
    """An array's bus: psums travel both ways, and are what an ofmap is on chip."""
    place = "" if len(machine.arrays) == 1 else f"{'x'.join(array.axes)} "
    name = f"psum bus {way}" if tensor == "ofmap" else f"{tensor} bus"
    return place + name, array.bus_bits_per_cycle.get(tensor)
