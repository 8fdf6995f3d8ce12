"""A machine on which tensors lie in a buffer, not in DRAM, before and after a layer."""

from collections.abc import Callable

from hwsim.cost import Cost
from hwsim.hardware import Accelerator, Memory, MemoryLevel
from hwsim.mapping import Mapping
from hwsim.workload import Layer

Search = Callable[[Layer, Accelerator], tuple[Mapping, Cost]]
Rooms = dict[tuple[str, str], int]


def buffer(machine: Accelerator, *tensors: str) -> str | None:
    """The outermost level below DRAM, and above the PEs, one memory of which holds the tensors."""
    for level in machine.unspread[1:]:
        if any(set(tensors) <= set(memory.tensors) for memory in level.memories):
            return level.level
    return None


def with_homes(machine: Accelerator, homes: dict[str, str], rooms: Rooms) -> Accelerator | None:
    """The machine with homes for some tensors, and so many bits reserved at (level, tensor).

    Rooms add up where one memory holds both tensors. None where they exceed a memory.
    """
    hierarchy = []
    for part in machine.hierarchy:
        if isinstance(part, MemoryLevel):
            reserved = [_reserved_bits(part.level, memory, rooms) for memory in part.memories]
            pairs = list(zip(part.memories, reserved, strict=True))
            if any(bits > (memory.capacity_bits or bits) for memory, bits in pairs):
                return None
            memories = tuple(m.model_copy(update={"reserved_bits": bits}) for m, bits in pairs)
            part = part.model_copy(update={"memories": memories})
        hierarchy.append(part)
    fields = {name: getattr(machine, name) for name in Accelerator.model_fields}
    return Accelerator(**fields | {"hierarchy": tuple(hierarchy), "homes": machine.homes | homes})


def _reserved_bits(level: str, memory: Memory, rooms: Rooms) -> int:
    return memory.reserved_bits + sum(
        bits for (name, tensor), bits in rooms.items() if name == level and tensor in memory.tensors
    )
