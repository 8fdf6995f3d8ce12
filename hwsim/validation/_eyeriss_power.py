"""The two fitted parameters behind the Eyeriss chip's power, from AlexNet's five measured layers.

JSSC 2017 gives the chip's power by layer and no energy by part. What `technology` says of the GLB,
the NoC and the ifmap pads is left as it is; fitted are one factor on the energies that gating
spares (the multiply-add, the weight pad, the psum pad) and the clock network's energy by cycle.
Relative squared errors of Table V's powers are least. VGG-16 has no part in it.
"""

from typing import NamedTuple

import numpy as np

from hwsim.hardware import Accelerator, Memory, MemoryLevel
from hwsim.technology import memory_pj_per_bit, operation_pj
from hwsim.validation._eyeriss_chip import chip_layers, power_mw
from hwsim.workload import Primitive

GATED_PADS = ("weight", "ofmap")


class Fit(NamedTuple):
    """The factor on gated PE energies and the clock's energy by cycle."""

    pe_factor: float
    clock_pj_per_cycle: float


def fit(machine: Accelerator) -> Fit:
    """The parameters of least relative squared error; the machine's own values of them are unused.

    Power is linear in both, so that three simulations of each layer tell all.
    """
    base, pes, clock = (
        _powers_mw(with_parameters(machine, found)) for found in (Fit(0, 0), Fit(1, 0), Fit(0, 1))
    )
    measured = np.array([chip.row["power_mw"] for chip in chip_layers("alexnet")], dtype=float)
    columns = np.stack([pes - base, clock - base], axis=1) / measured[:, None]
    found, *_ = np.linalg.lstsq(columns, 1 - base / measured, rcond=None)
    return Fit(*(float(value) for value in found))


def with_parameters(machine: Accelerator, found: Fit) -> Accelerator:
    """The machine with its gated PE energies at the factor times `technology`'s, and that clock."""
    mac = machine.mac.model_copy(update={"multiply_add_pj": None})
    free = machine.model_copy(update={"mac": mac})
    multiply_add_pj = found.pe_factor * operation_pj(
        free,
        Primitive.MULTIPLY_ADD,
        ifmap_bits=mac.ifmap_bits,
        weight_bits=mac.weight_bits,
        psum_bits=mac.psum_bits,
    )
    changed = {
        "mac": mac.model_copy(update={"multiply_add_pj": multiply_add_pj}),
        "control": machine.control.model_copy(
            update={"clock_pj_per_cycle": found.clock_pj_per_cycle}
        ),
        "hierarchy": (*machine.hierarchy[:-1], _pads(machine, found.pe_factor)),
    }
    return Accelerator.model_validate(machine.model_dump() | changed)


def _pads(machine: Accelerator, factor: float) -> MemoryLevel:
    level = machine.levels[-1]
    memories = (
        _scaled(memory, machine, factor) if memory.tensors[0] in GATED_PADS else memory
        for memory in level.memories
    )
    return level.model_copy(update={"memories": tuple(memories)})


def _scaled(memory: Memory, machine: Accelerator, factor: float) -> Memory:
    keys = ("read_pj_per_bit", "write_pj_per_bit")
    free = memory.model_copy(update=dict.fromkeys(keys))
    law = memory_pj_per_bit(free, machine.technology)
    return free.model_copy(
        update={key: factor * value for key, value in zip(keys, law, strict=True)}
    )


def _powers_mw(machine: Accelerator) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.array([power_mw(chip.cost(machine), machine) for chip in chip_layers("alexnet")])
