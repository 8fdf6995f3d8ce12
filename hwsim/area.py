"""Area of a machine in mm2 by component, from its words, capacities and operand widths.

Every law speaks of 45 nm and is taken to the machine's node by `hwsim.scaling.area_scale`. Two
constants are fitted and say so; `hwsim/validation/area.py` holds published chips beside the laws.
What has no law is left out: pads of the chip's edge, DRAM and its controller.
"""

from dataclasses import dataclass
from math import exp, log, sqrt

import numpy as np

from hwsim.hardware import Accelerator, Array, Memory, MemoryLevel
from hwsim.mac import Mac
from hwsim.scaling import Constant, area_scale
from hwsim.technology import HOROWITZ
from hwsim.workload import Primitive

BIT_FUSION = "Bit Fusion's synthesis of one element, 45 nm (systolic_array_synth.csv)"
ISCA2016 = "storage table of the program behind Chen, Emer, Sze, ISCA 2016, 65 nm"
TO_65 = area_scale(node_nm=65)
MM2 = 1e-6

CELL = Constant(0.525 / TO_65, "um2/bit", "six-transistor cell of TSMC's 65 nm, 0.525 um2")
PERIPHERY = Constant(
    96.055,
    "um2/sqrt(bit)",
    f"fitted: least squares of relative errors, 64 B to 4 kB of the {ISCA2016}",
)
REGISTER = Constant(103.47 / 8 / TO_65, "um2/bit", f"{ISCA2016}: 2 B, a word without addresses")
REGISTER_BITS = Constant(16, "bit", f"{ISCA2016}: its smallest entry")
DENSEST_FILE = Constant(177.07 / 8 / TO_65, "um2/bit", f"{ISCA2016}: its largest, at 8 B")
ADD_8B, ADD_32B = Constant(36, "um2", HOROWITZ), Constant(137, "um2", HOROWITZ)
SHIFT_PER_ADD = Constant(
    250 / 278, "shifters per adder", "Aladdin 40/45 nm at 1 ns, 32-bit units: 250 and 278 um2"
)
GATE_PER_ADDER_BIT = Constant(0.5, "XNOR gates per full adder", "assumption: 3 of 6 NAND2")
PE_LOGIC = Constant(
    20_000 / TO_65, "um2", "program behind ISCA 2016, 65 nm: a 16-bit PE without its register file"
)
PE_BITS = Constant(48, "bit", "operands and psum of that PE")
PADS = Constant(3, "tensors", "a PE with pads for ifmap, weight and psum has all of that control")
DENSITY = Constant(
    0.58402,
    "share",
    "fitted: cells and macros over the core of the Eyeriss chip, 12.25 mm2 (JSSC 2017)",
)
# A multiplier with its accumulator by operand width; of fixed width, and composed of 2-bit bricks.
FIXED_UM2 = {2: 124.8912, 4: 282.24, 8: 687.6072, 16: 2203.236}
COMPOSED_UM2 = {4: 431.4744, 8: 1733.13, 16: 7492.4136}


@dataclass(frozen=True, kw_only=True)
class Area:
    """A machine's area by component, in mm2.

    `MAC`: arithmetic; `PE`: the PEs' control and their share of the NoC; `spad`, `GLB`: memories;
    `layout`: what of a core no cell or macro fills (clock tree, power grid, wires, gaps).
    """

    by_component_mm2: dict[str, float]

    @property
    def cells_mm2(self) -> float:
        """Cells and macros, side by side without a gap."""
        return sum(self.by_component_mm2.values()) - self.by_component_mm2["layout"]

    @property
    def core_mm2(self) -> float:
        """All of it."""
        return sum(self.by_component_mm2.values())


def area(machine: Accelerator) -> Area:
    """The area of a machine's core; DRAM has none on it."""
    scale = MM2 * area_scale(node_nm=machine.technology.node_nm)
    found = {"MAC": scale * machine.pes * mac_um2(machine.mac), "PE": 0.0, "spad": 0.0, "GLB": 0.0}
    found["PE"] = scale * machine.pes * control_um2(machine)
    instances = 1
    for part in machine.hierarchy:
        if isinstance(part, Array):
            instances *= part.instances
        elif part.component != "DRAM":
            found[part.component] += scale * instances * _level_um2(part)
    found["layout"] = sum(found.values()) * (1 / DENSITY.value - 1)
    return Area(by_component_mm2=found)


def on_chip_bits(machine: Accelerator) -> int:
    """Capacity of all memories but DRAM, all instances together."""
    instances, found = 1, 0
    for part in machine.hierarchy:
        if isinstance(part, Array):
            instances *= part.instances
        else:
            found += instances * sum(memory.capacity_bits or 0 for memory in part.memories)
    return found


def memory_um2(memory: Memory) -> float:
    """A memory's area at 45 nm; that of its banks, the last of which may be smaller."""
    capacity = memory.capacity_bits or 0
    whole, rest = divmod(capacity, memory.bank_bits or max(capacity, 1))
    return whole * storage_um2(memory.bank_bits or capacity) + storage_um2(rest)


def storage_um2(capacity_bits: float) -> float:
    """One SRAM or register file at 45 nm: cells, and a periphery that grows with its two sides.

    Files too small for that law take the most that its table has for a bit, lone words a register.
    """
    if capacity_bits <= REGISTER_BITS.value:
        return REGISTER.value * capacity_bits
    law = CELL.value * capacity_bits + PERIPHERY.value * sqrt(capacity_bits)
    return min(law, DENSEST_FILE.value * capacity_bits)


def mac_um2(mac: Mac) -> float:
    """A PE's arithmetic at 45 nm: all that it has of adders, shifters and multipliers."""
    return sum(_primitive_um2(primitive, mac) for primitive in mac.primitives)


def add_um2(bits: int) -> float:
    """An integer adder at 45 nm: affine in the width through Horowitz's 8 and 32 bits."""
    return ADD_8B.value + (bits - 8) * (ADD_32B.value - ADD_8B.value) / 24


def control_um2(machine: Accelerator) -> float:
    """A PE's control, latches and share of the NoC at 45 nm: what ISCA 2016's PE has beside its
    MAC, in proportion to word widths and to the tensors that pads with addresses hold; none
    where PEs keep single words, as in a systolic array."""
    mac = machine.mac
    whole = PE_LOGIC.value - FIXED_UM2[16]
    bits = (mac.ifmap_bits + mac.weight_bits + mac.psum_bits) / PE_BITS.value
    pads = [
        memory
        for level in machine.levels
        if level.component == "spad"
        for memory in level.memories
        if (memory.capacity_bits or 0) > max(REGISTER_BITS.value, 2 * memory.slot_bits)
    ]
    tensors = {tensor for memory in pads for tensor in memory.tensors}
    return whole * bits * len(tensors) / PADS.value


def _level_um2(level: MemoryLevel) -> float:
    return sum(memory_um2(memory) for memory in level.memories)


def _primitive_um2(primitive: Primitive, mac: Mac) -> float:
    adder = add_um2(mac.psum_bits)
    if primitive is Primitive.MULTIPLY_ADD:
        table = COMPOSED_UM2 if mac.precision else FIXED_UM2
        return _interpolated(table, sqrt(mac.ifmap_bits * mac.weight_bits))
    if primitive is Primitive.SHIFT_ADD:
        return adder + SHIFT_PER_ADD.value * add_um2(mac.ifmap_bits)
    if primitive is Primitive.XNOR_POPCOUNT:
        full_adder = (ADD_32B.value - ADD_8B.value) / 24
        pairs = mac.ifmap_bits * mac.weight_bits
        return adder + pairs * full_adder * (1 + GATE_PER_ADDER_BIT.value)
    if primitive is Primitive.LOOKUP_ADD:
        entries = 2 ** min(mac.weight_bits, 8)
        return adder + storage_um2(entries * mac.psum_bits)
    return adder


def _interpolated(table: dict[int, float], width: float) -> float:
    """Through the table's points on logarithmic axes; its last slope beyond them."""
    widths, areas = np.log(list(table)), np.log(list(table.values()))
    at = log(width)
    if at < widths[0] or at > widths[-1]:
        near, edge = (1, 0) if at < widths[0] else (-2, -1)
        slope = (areas[edge] - areas[near]) / (widths[edge] - widths[near])
        return float(exp(areas[edge] + slope * (at - widths[edge])))
    return float(exp(np.interp(at, widths, areas)))
