"""Energy and cycles of a mapped layer.

Energy is the exact sum of counts times per-access energies: every word read or written at every
level, every word on a NoC, every operation, the clock by cycle and leakage by time.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil
from typing import NamedTuple

from hwsim.hardware import Accelerator
from hwsim.latency import Arithmetic, latency, own_cycles
from hwsim.mapping import Mapping
from hwsim.reuse import MAC
from hwsim.skipping import compute_cycles, mac_cycles, performed_share, ungated_share
from hwsim.technology import alu_pj, array_noc_pj_per_bit, memory_pj_per_bit, operation_pj
from hwsim.traffic import Transfer, code_bits, coded_bits, transfers
from hwsim.workload import Layer

COMPONENTS = ("MAC", "spad", "NoC", "GLB", "DRAM", "clock", "leakage")

# A MAC whose zero operand is caught keeps this share of its energy: Accelergy's 45 nm Eyeriss
# table, MAC_gated 0.06595 pJ of 2.20035 pJ (MICRO 2022 Sparseloop artifact).
GATED_SHARE = 0.06595 / 2.20035


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What one layer costs on one machine.

    `processing_cycles`: those in which the PEs do not wait for `single` buffers above them. `bound`
    names what is busy longest: `compute`, a memory level, or `NoC`. `utilization` is operations,
    but for those skipped, x the cycles of one / (cycles x PEs).
    """

    cycles: int
    processing_cycles: int
    compute_cycles: int
    bound: str
    utilization: float
    energy_by_component_pj: dict[str, float]
    dram_read_bits: int
    dram_write_bits: int

    @property
    def energy_pj(self) -> float:
        """The sum over components."""
        return sum(self.energy_by_component_pj.values())

    @property
    def dram_bits(self) -> int:
        """Bits read from and written to DRAM."""
        return self.dram_read_bits + self.dram_write_bits


class Totals(NamedTuple):
    """Sums over layers, or parts of them."""

    energy_pj: float
    cycles: int
    dram_bits: int

    @staticmethod
    def of(costs: Iterable[tuple[int, Cost]]) -> "Totals":
        """The sums of these (times, cost)."""
        energy_pj, cycles, dram_bits = 0.0, 0, 0
        for times, found in costs:
            energy_pj += times * found.energy_pj
            cycles += times * found.cycles
            dram_bits += times * found.dram_bits
        return Totals(energy_pj, cycles, dram_bits)


def cost(
    layer: Layer,
    mapping: Mapping,
    machine: Accelerator,
    *,
    arithmetic: Arithmetic = compute_cycles,
) -> Cost:
    """Cost of a layer under a valid mapping; `arithmetic` counts the cycles of the MACs."""
    moves = transfers(layer, mapping, machine)
    time = latency(layer, mapping, machine, moves, arithmetic=arithmetic)
    dram = [move for move in moves if move.parent.cell == "dram"]
    energy = transfer_pj(layer, machine, moves, time.cycles)
    energy["MAC"] = arithmetic_pj(layer, machine)
    return Cost(
        cycles=time.cycles,
        processing_cycles=time.processing_cycles,
        compute_cycles=time.compute_cycles,
        bound=time.bound,
        utilization=_performed(layer, machine)
        * float(mac_cycles(layer, machine.mac))
        / (time.cycles * machine.pes),
        energy_by_component_pj=energy,
        dram_read_bits=ceil(sum(move.parent_read_bits for move in dram)),
        dram_write_bits=ceil(sum(move.parent_write_bits for move in dram)),
    )


def transfer_cost(layer: Layer, moves: tuple[Transfer, ...], machine: Accelerator) -> Cost:
    """Cost of transfers alone, one after the other, of a layer that does not run meanwhile."""
    cycles = ceil(round(sum(own_cycles(move) for move in moves), 3))
    dram = [move for move in moves if move.parent.cell == "dram"]
    return Cost(
        cycles=cycles,
        processing_cycles=0,
        compute_cycles=0,
        bound="transfer",
        utilization=0.0,
        energy_by_component_pj=transfer_pj(layer, machine, moves, cycles),
        dram_read_bits=ceil(sum(move.parent_read_bits for move in dram)),
        dram_write_bits=ceil(sum(move.parent_write_bits for move in dram)),
    )


def fused_cost(layer: Layer, machine: Accelerator) -> Cost:
    """Cost of a layer that rides on its producer's output: arithmetic alone."""
    energy = dict.fromkeys(COMPONENTS, 0.0)
    energy["MAC"] = arithmetic_pj(layer, machine)
    return Cost(
        cycles=0,
        processing_cycles=0,
        compute_cycles=0,
        bound="fused",
        utilization=0.0,
        energy_by_component_pj=energy,
        dram_read_bits=0,
        dram_write_bits=0,
    )


def arithmetic_pj(layer: Layer, machine: Accelerator) -> float:
    """Energy of the operations that are not skipped; zero ifmap words cost less if gated."""
    if not layer.weighted:
        return layer.operations * alu_pj(machine, bits=layer.ofmap.bits)
    each = operation_pj(
        machine,
        layer.primitive,
        ifmap_bits=layer.ifmap.bits,
        weight_bits=layer.weight.bits,
        psum_bits=layer.psum.bits,
        terms=layer.terms,
    )
    busy = ungated_share(layer, machine.mac)
    return _performed(layer, machine) * each * (busy + (1.0 - busy) * GATED_SHARE)


def _performed(layer: Layer, machine: Accelerator) -> float:
    """Operations that are not skipped."""
    return layer.operations * performed_share(layer, machine.mac)


def transfer_pj(
    layer: Layer, machine: Accelerator, moves: tuple[Transfer, ...], cycles: int
) -> dict[str, float]:
    """Energy by component of a layer's transfers and of the cycles that pass: all but arithmetic's,
    which is 0 here."""
    energy = dict.fromkeys(COMPONENTS, 0.0)
    energy["clock"] = machine.control.clock_pj_per_cycle * cycles
    energy["leakage"] = machine.control.leakage_mw * cycles / machine.clock_mhz * 1e3
    for move in moves:
        read_pj, write_pj = memory_pj_per_bit(move.parent, machine.technology)
        busy = busy_share(layer, machine, move.tensor, move.link.parent, move.link.child)
        energy[machine.level(move.link.parent).component] += busy * (
            move.parent_read_bits * read_pj + move.parent_write_bits * write_pj
        )
        if move.child:
            read_pj, write_pj = memory_pj_per_bit(move.child, machine.technology)
            energy[machine.level(move.link.child).component] += (
                move.child_read_bits * read_pj + move.child_write_bits * write_pj
            )
        energy["NoC"] += _noc_pj(move, machine)
    return energy


def busy_share(layer: Layer, machine: Accelerator, tensor: str, parent: str, child: str) -> float:
    """The share of a level's accesses for a lower one, or the `MAC`, that happen: those of MACs to
    a pad do not for a MAC that is skipped. For a zero, a gating PE neither reads the weight nor
    reads and writes the psum, which stays as it is. Of weights in a code of their own the skipped
    zeros are no words, but part of what it takes.
    """
    level = machine.level(parent)
    memory = level.memory(tensor)
    if child != MAC or level.component != "spad" or memory is None:
        return 1.0
    coded = code_bits(layer, memory, tensor) <= coded_bits(layer, memory, tensor)
    but = "weight" if coded else ""
    performed = performed_share(layer, machine.mac, but=but)
    if tensor == "ifmap":
        return performed
    return performed * ungated_share(layer, machine.mac, but=but)


def _noc_pj(move: Transfer, machine: Accelerator) -> float:
    """Energy of a transfer on the arrays it crosses, each word at the wires' width."""
    return sum(
        move.noc_words * move.wire_bits(array) * array_noc_pj_per_bit(array, machine.technology)
        for array in move.arrays
    )
