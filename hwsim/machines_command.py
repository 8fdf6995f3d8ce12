"""The verb `hwsim machines`: the shipped machines side by side."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from hwsim import registry
from hwsim.shell import complaints

if TYPE_CHECKING:
    from hwsim.hardware import Accelerator

BITS_A_KIBIBYTE = 8192
NUMBERS = ("PEs", "bits", "MHz", "nm", "on chip KiB")
HEADS = ("machine", *NUMBERS, "dataflow", "what it is")


def list_machines(
    as_json: Annotated[bool, typer.Option("--json", help="Print them as JSON.")] = False,
) -> None:
    """List the machines: PEs, operands, clock, memory on chip, dataflow."""
    import json

    from hwsim.listing import print_rows

    with complaints():
        found = facts()
        if as_json:
            typer.echo(json.dumps(found, indent=1))
        else:
            print_rows(HEADS, map(row, found), numbers=frozenset(NUMBERS))


def facts() -> list[dict[str, Any]]:
    """What each machine is, by name."""
    from hwsim.hardware import load_machine

    return [facts_of(load_machine(name)) for name in registry.names("machine")]


def facts_of(machine: "Accelerator") -> dict[str, Any]:
    """What a machine is, JSON-able."""
    return {
        "name": machine.name,
        "pes": machine.pes,
        "ifmap_bits": machine.mac.ifmap_bits,
        "weight_bits": machine.mac.weight_bits,
        "psum_bits": machine.mac.psum_bits,
        "clock_mhz": machine.clock_mhz,
        "node_nm": machine.technology.node_nm,
        "on_chip_bits": on_chip_bits(machine),
        "dataflow": machine.dataflow,
        "description": machine.description,
    }


def on_chip_bits(machine: "Accelerator") -> int:
    """Bits of all memories but DRAM, in all their instances."""
    from hwsim.hardware import Array

    total, instances = 0, 1
    for part in machine.hierarchy:
        if isinstance(part, Array):
            instances *= part.instances
        else:
            total += instances * sum(memory.capacity_bits or 0 for memory in part.memories)
    return total


def row(one: dict[str, Any]) -> list[str]:
    """A machine as it is shown."""
    return [
        one["name"],
        f"{one['pes']:,}",
        f"{one['ifmap_bits']} x {one['weight_bits']}",
        f"{one['clock_mhz']:g}",
        f"{one['node_nm']}",
        f"{one['on_chip_bits'] / BITS_A_KIBIBYTE:,.1f}",
        one["dataflow"],
        one["description"],
    ]
