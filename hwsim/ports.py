"""The ports and buses of a machine, and the cycles for which a transfer holds each of them.

Every memory has a read and a write port, or one for both; every array a bus inwards and a bus
outwards for each tensor. What has no given width takes no time and is left out. Widths are bits per
core cycle, so that a link with a clock of its own is already in core cycles: the Eyeriss chip's, 64
bits at 60 MHz, carries 19.2 bits in each cycle at 200 MHz.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from hwsim.hardware import Accelerator, Array, Memory
from hwsim.traffic import Transfer
from hwsim.workload import TENSORS

NOC = "NoC"
PES = "PEs"


class Port(NamedTuple):
    """A port of the memory level `place` or, with the axes of its array, a bus of the NoC; what
    passes, and which way if not both."""

    place: str
    tensors: tuple[str, ...]
    way: str
    axes: tuple[str, ...] = ()


Cycles = dict[Port, float]
Way = tuple[Port, float | None]


@dataclass(frozen=True)
class Demand:
    """Cycles that a transfer takes of each port and bus: towards the MACs, and from them.

    Of several instances of a memory the average one counts.
    """

    inward: Cycles
    outward: Cycles


def port_names(machine: Accelerator) -> dict[Port, str]:
    """Every port and bus that has a width by its name, outermost first: a memory's after its level,
    and its tensors where it has neighbours; a bus's after its axes where there are more arrays."""
    found = {}
    for port, width in _ways(machine):
        if width and port.place == NOC:
            place = "" if len(machine.arrays) == 1 else f"{'x'.join(port.axes)} "
            psums = port.tensors == ("ofmap",)
            found[port] = place + (f"psum bus {port.way}" if psums else f"{port.tensors[0]} bus")
        elif width:
            alone = len(machine.level(port.place).memories) == 1
            of = () if alone else ("+".join(port.tensors),)
            found[port] = " ".join((port.place, *of, *port.way.split()))
    return found


def added(loads: Iterable[Cycles]) -> Cycles:
    """Loads one after another on each port."""
    found: Cycles = defaultdict(float)
    for load in loads:
        for port, cycles in load.items():
            found[port] += cycles
    return dict(found)


def demand(move: Transfer) -> Demand:
    """What a transfer takes of the ports at its ends and of the buses between them."""
    inward: Cycles = {}
    outward: Cycles = {}
    link, parents, children = move.link, move.parent_instances, move.child_instances
    _load(inward, _port(link.parent, move.parent, "read"), move.parent_read_bits / parents)
    _load(outward, _port(link.parent, move.parent, "write"), move.parent_write_bits / parents)
    if move.child:
        _load(inward, _port(link.child, move.child, "write"), move.child_write_bits / children)
        _load(outward, _port(link.child, move.child, "read"), move.child_read_bits / children)
    for array in move.arrays:
        word = move.wire_bits(array)
        _load(inward, _bus(array, move.tensor, "in"), word * link.reads)
        _load(outward, _bus(array, move.tensor, "out"), word * link.writes)
    return Demand(inward, outward)


def _load(cycles: Cycles, way: Way, bits: float) -> None:
    """Adds the time in which so many bits pass; without a width they take none."""
    port, width = way
    if width:
        cycles[port] = cycles.get(port, 0.0) + bits / width


def _ways(machine: Accelerator) -> Iterator[Way]:
    for part in machine.hierarchy:
        if isinstance(part, Array):
            for tensor in TENSORS:
                yield from (_bus(part, tensor, way) for way in ("in", "out"))
        else:
            for memory in part.memories:
                yield from (_port(part.level, memory, way) for way in ("read", "write"))


def _port(level: str, memory: Memory, way: str) -> Way:
    width = memory.read_bits_per_cycle if way == "read" else memory.write_bits_per_cycle
    return Port(level, memory.tensors, "" if memory.shared_port else way), width


def _bus(array: Array, tensor: str, way: str) -> Way:
    """An array's bus: psums travel both ways, and are what an ofmap is on chip."""
    both = way if tensor == "ofmap" else ""
    return Port(NOC, (tensor,), both, tuple(array.axes)), array.bus_bits_per_cycle.get(tensor)
