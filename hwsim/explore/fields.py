"""A machine's fields by path, as a space names them.

`clock_mhz`, `dataflow`, `technology.node_nm`, `mac.weight_bits`: as in the machine's file.
`GLB.capacity_bits`: of the memory at that level; `spad.weight.capacity_bits`: of the one that holds
a tensor, where there are several. `axes.X`: instances along an axis; `array.noc_pj_per_bit`: of the
only array. `process_nm`: all of the machine moved to another node, see `moved`.
"""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from hwsim.config import parse
from hwsim.errors import InputError, UnknownNameError
from hwsim.hardware import Accelerator, Array, Memory, MemoryLevel
from hwsim.scaling import PROCESSES, delay_scale, scale
from hwsim.workload import TENSORS

Content = dict[str, Any]
Value = str | int | float | bool
Setting = Value | tuple[Value, ...]
PROCESS = "process_nm"


def machine_with(content: Content, settings: Mapping[str, Setting], *, file: object) -> Accelerator:
    """The machine of a file's content with some fields set. Raises InputError."""
    changed = deepcopy(content)
    for path, value in settings.items():
        if path != PROCESS:
            _set(changed, path, value)
    machine = parse(changed, Accelerator, file=file)
    node = settings.get(PROCESS)
    return machine if node is None else moved(machine, node_nm=int(str(node)))


def _set(content: Content, path: str, value: Setting) -> None:
    *parents, key = path.split(".")
    target = _section(content, parents, path)
    if isinstance(target.get(key), dict) or (key == "hierarchy" and not parents):
        raise InputError(f"{path} is a section of the machine: name a field in it")
    target[key] = list(value) if isinstance(value, tuple) else value


def _section(content: Content, parents: list[str], path: str) -> Content:
    """What a path's last key is to be set in."""
    if not parents:
        return content
    head, rest = parents[0], parents[1:]
    levels = {part["level"]: part for part in content["hierarchy"] if "level" in part}
    if head in ("axes", "array"):
        section = _array(content, path)
        return section["axes"] if head == "axes" else _walk(section, rest)
    if head in levels:
        return _memory(levels[head], rest, path)
    if head in Accelerator.model_fields and head != "hierarchy":
        return _walk(content, parents)
    known = [*levels, "axes", "array", *Accelerator.model_fields, PROCESS]
    raise UnknownNameError(kind=f"field {path!r}: part", name=head, known=known)


def _walk(section: Content, keys: list[str]) -> Content:
    for key in keys:
        section = section.setdefault(key, {})
    return section


def _array(content: Content, path: str) -> Content:
    """The array that has the axis a path names, or else the only one."""
    head, key = path.split(".")[:2]
    arrays: list[Content] = [part for part in content["hierarchy"] if "axes" in part]
    if head == "axes":
        axes = [axis for array in arrays for axis in array["axes"]]
        if key not in axes:
            raise UnknownNameError(kind="axis", name=key, known=axes)
        return next(array for array in arrays if key in array["axes"])
    if len(arrays) != 1:
        raise InputError(f"{path}: the machine has {len(arrays)} arrays")
    return arrays[0]


def _memory(level: Content, rest: list[str], path: str) -> Content:
    memories: list[Content] = level["memories"]
    if rest and rest[0] in TENSORS:
        found = [memory for memory in memories if rest[0] in memory["tensors"]]
        if not found:
            raise InputError(f"{path}: level {level['level']} has no memory for {rest[0]}")
        return _walk(found[0], rest[1:])
    if len(memories) > 1:
        names = ", ".join(f"{level['level']}.{memory['tensors'][0]}" for memory in memories)
        raise InputError(f"{path}: the level has several memories: say {names}")
    return _walk(memories[0], rest)


def moved(machine: Accelerator, *, node_nm: int) -> Accelerator:
    """The machine made in another process, at its nominal supply.

    Energies that the machine states follow the node as those of `hwsim.technology` do, the clock
    follows the delay of a gate, and DRAM, which stays as it is, keeps its bits a second. Leakage
    stays, for want of a law. Raises InputError.
    """
    if node_nm not in PROCESSES:
        known = ", ".join(str(node) for node in PROCESSES)
        raise InputError(f"{PROCESS} = {node_nm}: must be one of {known}")
    old, voltage = machine.technology, PROCESSES[node_nm].nominal_voltage
    energy = scale(1.0, node_nm=node_nm, voltage=voltage) / scale(
        1.0, node_nm=old.node_nm, voltage=old.voltage
    )
    slower = delay_scale(node_nm=node_nm, voltage=voltage) / delay_scale(
        node_nm=old.node_nm, voltage=old.voltage
    )
    mac, control = machine.mac, machine.control
    stated = mac.multiply_add_pj
    changes = {
        "clock_mhz": machine.clock_mhz / slower,
        "technology": old.model_copy(update={"node_nm": node_nm, "voltage": voltage}),
        "hierarchy": tuple(_moved(part, energy, slower) for part in machine.hierarchy),
        "mac": mac.model_copy(
            update={
                "multiply_add_pj": stated if stated is None else stated * energy,
                "primitive_pj": {key: pj * energy for key, pj in mac.primitive_pj.items()},
            }
        ),
        "control": control.model_copy(
            update={"clock_pj_per_cycle": control.clock_pj_per_cycle * energy}
        ),
    }
    fields = {key: getattr(machine, key) for key in type(machine).model_fields}
    return Accelerator.model_validate(fields | changes)


def _moved(part: MemoryLevel | Array, energy: float, slower: float) -> MemoryLevel | Array:
    if isinstance(part, Array):
        stated = part.noc_pj_per_bit
        changes = {"noc_pj_per_bit": stated if stated is None else stated * energy}
        return part.model_copy(update=changes)
    memories = tuple(_moved_memory(memory, energy, slower) for memory in part.memories)
    return part.model_copy(update={"memories": memories})


def _moved_memory(memory: Memory, energy: float, slower: float) -> Memory:
    """Stated energies of what is on the chip, widths in core cycles of what is not."""
    dram = memory.cell == "dram"
    keys = ("read_bits_per_cycle", "write_bits_per_cycle")
    factor = slower if dram else energy
    if not dram:
        keys = ("read_pj_per_bit", "write_pj_per_bit")
    known = {key: getattr(memory, key) for key in keys}
    return memory.model_copy(
        update={key: value * factor for key, value in known.items() if value is not None}
    )
