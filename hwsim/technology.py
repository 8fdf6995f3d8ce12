"""Energy constants and the laws that interpolate them, and their scaling to a process.

Every law speaks of 45 nm at 0.9 V, the point of Horowitz's table; `scale` moves it to another node
and voltage. What a machine states in its own file always wins and is never rescaled.
"""

from collections.abc import Callable
from math import log, sqrt

from hwsim.errors import InputError
from hwsim.hardware import Accelerator, Array, Memory, Technology
from hwsim.scaling import Constant, scale
from hwsim.workload import Primitive

HOROWITZ = "Horowitz, ISSCC 2014, 45 nm 0.9 V"
ACCELERGY = "Accelergy energy table of Eyeriss, 45 nm (Sparseloop, MICRO 2022 artifact, table 7)"
ALADDIN = "Aladdin 40/45 nm library at 1 ns, as in Accelergy's plug-in"
CACTI_PLUG_IN = "Accelergy's CACTI plug-in, cacti_wrapper.py"

MULTIPLY_8B = Constant(0.2, "pJ", f"{HOROWITZ}: 8-bit integer multiply")
MULTIPLY_32B = Constant(3.1, "pJ", f"{HOROWITZ}: 32-bit integer multiply")
ADD_8B = Constant(0.03, "pJ", f"{HOROWITZ}: 8-bit integer add")
ADD_32B = Constant(0.1, "pJ", f"{HOROWITZ}: 32-bit integer add")
SRAM_8KB_64B = Constant(10.0, "pJ", f"{HOROWITZ}: 64 bits from an 8 kB SRAM")
SRAM_ANCHOR_BITS = Constant(8 * 1024 * 8, "bit", f"{HOROWITZ}: capacity of the 8 kB SRAM")
SRAM_ANCHOR_WORD = Constant(64, "bit", f"{HOROWITZ}: word of the 8 kB SRAM")
PERIPHERY = Constant(
    0.062,
    "pJ per access",
    f"fitted, the only such constant: what the square-root law leaves of {ACCELERGY}, "
    "ifmap pad 0.19652 (0.0614 left) and psum pad 0.25281 (0.0628 left)",
)
REGISTER_BIT = Constant(0.009, "pJ/bit", f"{ALADDIN}: register, 1 bit")
SHIFT_PER_ADD = Constant(
    0.417 / 0.21, "shifts per add", f"{ALADDIN}: 32-bit shifter 0.417 pJ over adder 0.21 pJ"
)
BITWISE_PER_ADD = Constant(
    0.018 / 0.21, "gates per add", f"{ALADDIN}: 32-bit bitwise unit 0.018 pJ over adder 0.21 pJ"
)
POPCOUNT_LANES = Constant(
    32, "lanes", "assumption: XNOR results are counted 32 at a time, then added to the psum once"
)
LOOKUP_INDEX_BITS = Constant(
    8, "bit", "assumption: a look-up table has at most 256 entries; longer codes are split"
)
WORD_BITS = Constant(
    16, "bit", "assumption: word of a memory that states neither port nor slot; Eyeriss's word"
)
INTER_PE_PER_MAC = Constant(
    2.0, "16-bit MACs per word", "Chen, Emer, Sze, ISCA 2016, table IV: inter-PE 2, MAC 1"
)
DRAM = {
    "LPDDR4": Constant(8.0, "pJ/bit", f"{CACTI_PLUG_IN}: public LPDDR4 data"),
    "LPDDR": Constant(40.0, "pJ/bit", f"{CACTI_PLUG_IN}: Malladi et al., ISCA 2012"),
    "DDR3": Constant(70.0, "pJ/bit", f"{CACTI_PLUG_IN}: Chatterjee et al., MICRO 2017"),
    "GDDR5": Constant(14.0, "pJ/bit", CACTI_PLUG_IN),
    "HBM2": Constant(3.9, "pJ/bit", CACTI_PLUG_IN),
    "horowitz": Constant(20.0, "pJ/bit", f"{HOROWITZ}: 640 pJ per 32-bit DRAM word"),
}


def multiply_pj(*, ifmap_bits: int, weight_bits: int) -> float:
    """An integer multiply at 45 nm: a power of the product of widths through Horowitz's 8 and 32 b.

    The exponent is 0.989. 16 bits, absent from the table, come out at 0.79 pJ.
    """
    exponent = log(MULTIPLY_32B.value / MULTIPLY_8B.value) / log(32 * 32 / (8 * 8))
    return float(MULTIPLY_8B.value * (ifmap_bits * weight_bits / 64) ** exponent)


def add_pj(*, bits: int) -> float:
    """An integer add at 45 nm: affine in the width through Horowitz's 8 and 32 bits."""
    return ADD_8B.value + (bits - 8) * (ADD_32B.value - ADD_8B.value) / 24


def shift_pj(*, bits: int) -> float:
    """A variable shift at 45 nm: Aladdin's shifter-to-adder ratio times Horowitz's adder.

    Aladdin's own numbers are not used: its adder is twice, its multiplier four times Horowitz's.
    """
    return SHIFT_PER_ADD.value * add_pj(bits=bits)


def mac_pj(primitive: Primitive, *, ifmap_bits: int, weight_bits: int, psum_bits: int) -> float:
    """One multiply-accumulate, or what it became, at 45 nm 0.9 V; `psum_bits` is the adder."""
    operand_pj = _OPERAND_PJ[primitive](ifmap_bits, weight_bits, psum_bits)
    adds = 1 / POPCOUNT_LANES.value if primitive is Primitive.XNOR_POPCOUNT else 1
    return operand_pj + adds * add_pj(bits=psum_bits)


def _xnor_popcount_pj(ifmap_bits: int, weight_bits: int) -> float:
    """An XNOR gate and a full adder for each pair of bit planes."""
    gate = BITWISE_PER_ADD.value * ADD_32B.value / 32
    full_adder = (ADD_32B.value - ADD_8B.value) / 24
    return ifmap_bits * weight_bits * (gate + full_adder)


def _lookup_pj(weight_bits: int, psum_bits: int) -> float:
    """A psum-wide word from a register file with an entry for every weight code."""
    entries = 2 ** min(weight_bits, int(LOOKUP_INDEX_BITS.value))
    per_bit = register_file_pj_per_bit(entries * psum_bits, word_bits=psum_bits)
    return psum_bits * per_bit


_OPERAND_PJ: dict[Primitive, Callable[[int, int, int], float]] = {
    Primitive.MULTIPLY_ADD: lambda i, w, _: multiply_pj(ifmap_bits=i, weight_bits=w),
    Primitive.ADD: lambda *_: 0.0,
    Primitive.SHIFT_ADD: lambda i, *_: shift_pj(bits=i),
    Primitive.XNOR_POPCOUNT: lambda i, w, _: _xnor_popcount_pj(i, w),
    Primitive.LOOKUP_ADD: lambda _, w, p: _lookup_pj(w, p),
}


def sram_pj_per_bit(capacity_bits: float, *, word_bits: float) -> float:
    """Reading or writing a bit of an SRAM at 45 nm 0.9 V.

    Bit lines grow with the square root of the capacity, through Horowitz's 8 kB; decoder and
    control cost the same for every word, so a wide word shares them. Reads cost what writes do:
    the sources disagree on which of the two is dearer.
    """
    shared = PERIPHERY.value / SRAM_ANCHOR_WORD.value
    per_bit = SRAM_8KB_64B.value / SRAM_ANCHOR_WORD.value - shared
    bit_lines = per_bit * sqrt(capacity_bits / SRAM_ANCHOR_BITS.value)
    return PERIPHERY.value / word_bits + bit_lines


def register_file_pj_per_bit(capacity_bits: float, *, word_bits: float) -> float:
    """Reading or writing a bit of a register file at 45 nm 0.9 V: never below a lone register.

    Otherwise the law of `sram_pj_per_bit`, which fits both register pads of Accelergy's Eyeriss.
    """
    return max(REGISTER_BIT.value, sram_pj_per_bit(capacity_bits, word_bits=word_bits))


def dram_pj_per_bit(kind: str) -> float:
    """Moving a bit to or from DRAM, interface included; no matter of the logic's node."""
    return DRAM[kind].value


def noc_pj_per_bit() -> float:
    """Taking a bit to a PE at 45 nm 0.9 V: ISCA 2016's 2 MACs a word, on an array of 1 to 2 mm.

    Interstellar's 0.035 pJ a word (28 nm) is a hop between neighbours of a systolic array, whose
    machine should state its own number.
    """
    mac16 = mac_pj(Primitive.MULTIPLY_ADD, ifmap_bits=16, weight_bits=16, psum_bits=16)
    return INTER_PE_PER_MAC.value * mac16 / 16


def memory_pj_per_bit(memory: Memory, technology: Technology) -> tuple[float, float]:
    """(read, write) energy of a bit of a memory. Raises InputError on an impossible supply."""
    law = _memory_law_pj_per_bit(memory, technology)
    read, write = memory.read_pj_per_bit, memory.write_pj_per_bit
    return law if read is None else read, law if write is None else write


def _memory_law_pj_per_bit(memory: Memory, technology: Technology) -> float:
    if memory.capacity_bits is None:
        return dram_pj_per_bit(technology.dram)
    stated = memory.word_bits or memory.read_bits_per_cycle or memory.write_bits_per_cycle
    slot = memory.slot_bits if memory.slot_bits > 1 else WORD_BITS.value
    word = min(max(stated or slot, 1), memory.capacity_bits)
    law = sram_pj_per_bit if memory.cell == "sram" else register_file_pj_per_bit
    return _scaled(law(memory.capacity_bits, word_bits=word), technology)


def array_noc_pj_per_bit(array: Array, technology: Technology) -> float:
    """Energy of a bit delivered to an instance of an array, or passed to a neighbour."""
    if array.noc_pj_per_bit is not None:
        return array.noc_pj_per_bit
    return _scaled(noc_pj_per_bit(), technology)


def operation_pj(
    machine: Accelerator,
    primitive: Primitive,
    *,
    ifmap_bits: int,
    weight_bits: int,
    psum_bits: int,
    terms: int = 1,
) -> float:
    """One MAC of a PE, made of `terms` primitives; one that the machine lacks runs as `Mac.native`
    says.

    The datapath's width sets the energy, not the operands', except where XNOR units take operands
    plane by plane, or the time, and so the energy, goes by the operands' widths. Raises InputError
    where an operand is wider than the datapath.
    """
    mac = machine.mac
    asked = {"ifmap_bits": ifmap_bits, "weight_bits": weight_bits, "psum_bits": psum_bits}
    for key, bits in asked.items():
        if bits > getattr(mac, key):
            raise InputError(f"{machine.name}: mac.{key} = {getattr(mac, key)}: layer needs {bits}")
    native, count = mac.native(primitive, weight_bits=weight_bits, terms=terms)
    times = count * float(mac.share(ifmap_bits=ifmap_bits, weight_bits=weight_bits))
    if native in mac.primitive_pj:
        return times * mac.primitive_pj[native]
    planes = native is Primitive.XNOR_POPCOUNT
    law_pj = mac_pj(
        native,
        ifmap_bits=ifmap_bits if planes else mac.ifmap_bits,
        weight_bits=weight_bits if planes else mac.weight_bits,
        psum_bits=mac.psum_bits,
    )
    return times * _arithmetic_pj(machine, law_pj)


def alu_pj(machine: Accelerator, *, bits: int) -> float:
    """One operation of a layer without weights (pooling, element-wise): an add of `bits`."""
    return _arithmetic_pj(machine, add_pj(bits=bits))


def _arithmetic_pj(machine: Accelerator, law_pj: float) -> float:
    """A law's energy on a machine: scaled, or in proportion to the multiply-add it states."""
    mac = machine.mac
    if mac.multiply_add_pj is None:
        return _scaled(law_pj, machine.technology)
    multiply_add = mac_pj(
        Primitive.MULTIPLY_ADD,
        ifmap_bits=mac.ifmap_bits,
        weight_bits=mac.weight_bits,
        psum_bits=mac.psum_bits,
    )
    return mac.multiply_add_pj * (law_pj / multiply_add)


def _scaled(energy_pj: float, technology: Technology) -> float:
    return scale(energy_pj, node_nm=technology.node_nm, voltage=technology.voltage)
