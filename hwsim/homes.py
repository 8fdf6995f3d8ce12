"""A machine on which tensors lie in a buffer, not in DRAM, before and after a layer."""

from math import inf

from hwsim.hardware import Accelerator, Array, Memory, MemoryLevel

Rooms = dict[tuple[str, str], int]


def buffer(machine: Accelerator, *tensors: str) -> str | None:
    """The outermost level below DRAM, and above the PEs, one memory of which holds the tensors."""
    for level in machine.unspread[1:]:
        if any(set(tensors) <= set(memory.tensors) for memory in level.memories):
            return level.level
    return None


def fits(machine: Accelerator, rooms: Rooms) -> bool:
    """Whether the memories have so many bits at (level, tensor), beside what is reserved already.

    Rooms add up where one memory holds both tensors.
    """
    return all(
        _reserved_bits(level.level, memory, rooms) <= (memory.capacity_bits or inf)
        for level in machine.levels
        for memory in level.memories
    )


def with_homes(machine: Accelerator, homes: dict[str, str], rooms: Rooms) -> Accelerator | None:
    """The machine with homes for some tensors, and the rooms reserved; None where they do not fit.

    Raises ValueError on a home that does not hold its tensor.
    """
    if not fits(machine, rooms):
        return None
    hierarchy = tuple(
        part if isinstance(part, Array) else _with_rooms(part, rooms) for part in machine.hierarchy
    )
    fields = {name: getattr(machine, name) for name in Accelerator.model_fields}
    return Accelerator(**fields | {"hierarchy": hierarchy, "homes": machine.homes | homes})


def _with_rooms(level: MemoryLevel, rooms: Rooms) -> MemoryLevel:
    memories = tuple(
        memory.model_copy(update={"reserved_bits": _reserved_bits(level.level, memory, rooms)})
        for memory in level.memories
    )
    return level.model_copy(update={"memories": memories})


def _reserved_bits(level: str, memory: Memory, rooms: Rooms) -> int:
    return memory.reserved_bits + sum(
        bits for (name, tensor), bits in rooms.items() if name == level and tensor in memory.tensors
    )
