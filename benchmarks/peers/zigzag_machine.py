"""A machine as ZigZag describes one, read from the records of its YAML format."""

from collections.abc import Mapping as MappingType
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any

TENSORS = {"I1": "ifmap", "I2": "weight", "O": "ofmap"}


class Way(StrEnum):
    """The four ways data passes a memory: down to the MACs or up, by a read or a write."""

    READ_DOWN = "rd_out_to_low"
    WRITE_UP = "wr_in_by_low"
    READ_UP = "rd_out_to_high"
    WRITE_DOWN = "wr_in_by_high"

    @property
    def inner(self) -> bool:
        """Whether it passes between this memory and the next one inwards."""
        return self in (Way.READ_DOWN, Way.WRITE_UP)


WAYS = {"tl": Way.READ_DOWN, "fl": Way.WRITE_UP, "th": Way.READ_UP, "fh": Way.WRITE_DOWN}


@dataclass(frozen=True)
class Port:
    """A port of a memory and what passes it, (tensor, way) each.

    An access takes `bits`; a part of it that is at least `least_bits` costs as much less.
    """

    bits: int
    least_bits: int
    serves: tuple[tuple[str, Way], ...]

    @property
    def joins_inputs(self) -> bool:
        """Whether both the ifmap and the weights pass it."""
        return {"ifmap", "weight"} <= {tensor for tensor, _ in self.serves}


@dataclass(frozen=True)
class Buffer:
    """A memory: bits, energy per access of a port, and the axes it has one instance for."""

    name: str
    bits: int
    read_pj: float
    write_pj: float
    tensors: tuple[str, ...]
    serves: tuple[str, ...]
    ports: tuple[Port, ...]

    def port(self, tensor: str, way: Way) -> Port | None:
        """The port that a tensor passes one way, if the memory has it."""
        return next((port for port in self.ports if (tensor, way) in port.serves), None)


@dataclass(frozen=True)
class Machine:
    """Memories, innermost first, the axes of the array with their sizes, and a MAC's energy."""

    name: str
    buffers: tuple[Buffer, ...]
    axes: MappingType[str, int]
    mac_pj: float

    @cached_property
    def memories(self) -> dict[str, tuple[Buffer, ...]]:
        """By tensor, its memories, innermost first."""
        return {
            tensor: tuple(buffer for buffer in self.buffers if tensor in buffer.tensors)
            for tensor in TENSORS.values()
        }

    def served(self, tensor: str) -> tuple[tuple[str, ...], ...]:
        """Axes unrolled below each of a tensor's memories but not below one further in."""
        seen: set[str] = set()
        found = []
        for buffer in self.memories[tensor]:
            found.append(tuple(axis for axis in buffer.serves if axis not in seen))
            seen |= set(buffer.serves)
        return (*found, tuple(axis for axis in self.axes if axis not in seen))


def machine_of(records: MappingType[str, Any]) -> Machine:
    """The machine that a ZigZag accelerator file describes."""
    array = records["operational_array"]
    return Machine(
        records["name"],
        tuple(_buffer(name, memory) for name, memory in records["memories"].items()),
        dict(zip(array["dimensions"], array["sizes"], strict=True)),
        array["unit_energy"],
    )


def _buffer(name: str, memory: MappingType[str, Any]) -> Buffer:
    return Buffer(
        name,
        memory["size"],
        memory["r_cost"],
        memory["w_cost"],
        tuple(TENSORS[operand] for operand in memory["operands"]),
        tuple(memory["served_dimensions"]),
        tuple(_port(port) for port in memory["ports"]),
    )


def _port(port: MappingType[str, Any]) -> Port:
    pairs = (item.split(", ") for item in port["allocation"])
    serves = tuple((TENSORS[operand], WAYS[way]) for operand, way in pairs)
    return Port(port["bandwidth_max"], port["bandwidth_min"], serves)
