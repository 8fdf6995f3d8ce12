"""Small machines with made-up integer energies, no two alike, shared by the tests.

Energies are primes in pJ a bit, dearer outwards, so that a count that lands at the wrong level, or
a read taken for a write, shows in the sum; as integers they add up without rounding.
"""

from hwsim.hardware import Accelerator, Array, Control, Mac, Memory, MemoryLevel
from hwsim.workload import TENSORS

KILOBIT = 1024

DRAM = Memory(tensors=TENSORS, cell="dram", read_pj_per_bit=211, write_pj_per_bit=223)
GLB = Memory(
    tensors=TENSORS,
    cell="sram",
    capacity_bits=64 * KILOBIT,
    read_pj_per_bit=29,
    write_pj_per_bit=31,
)
PADS = (
    Memory(
        tensors=("ifmap",),
        cell="register_file",
        capacity_bits=12 * 16,
        read_pj_per_bit=2,
        write_pj_per_bit=3,
    ),
    Memory(
        tensors=("weight",),
        cell="register_file",
        capacity_bits=48 * 16,
        read_pj_per_bit=5,
        write_pj_per_bit=7,
    ),
    Memory(
        tensors=("ofmap",),
        cell="register_file",
        capacity_bits=8 * 16,
        read_pj_per_bit=11,
        write_pj_per_bit=13,
    ),
)
GRID = Array(axes={"X": 4, "Y": 3}, noc_pj_per_bit=17)
MAC = Mac(ifmap_bits=16, weight_bits=16, psum_bits=16, multiply_add_pj=19)
CONTROL = Control(clock_pj_per_cycle=37, leakage_mw=41)


def dram_level(memory: Memory = DRAM) -> MemoryLevel:
    """The outermost level."""
    return MemoryLevel(level="DRAM", component="DRAM", memories=(memory,))


def glb_level(*memories: Memory) -> MemoryLevel:
    """A buffer above the array."""
    return MemoryLevel(level="GLB", component="GLB", memories=memories or (GLB,))


def spad_level(*memories: Memory) -> MemoryLevel:
    """Pads below the array."""
    return MemoryLevel(level="spad", component="spad", memories=memories or PADS)


def machine(
    *parts: MemoryLevel | Array,
    dataflow: str = "row_stationary",
    mac: Mac = MAC,
    control: Control = CONTROL,
    stores_padding: bool = False,
) -> Accelerator:
    """A machine of the given hierarchy; without one, DRAM, buffer, 4 x 3 PEs and pads."""
    return Accelerator(
        name="made up",
        description="made up",
        source="made up",
        dataflow=dataflow,
        clock_mhz=1000,
        hierarchy=parts or (dram_level(), glb_level(), GRID, spad_level()),
        mac=mac,
        control=control,
        stores_padding=stores_padding,
    )


def grid(columns: int, rows: int) -> Array:
    """The array at another size."""
    return GRID.model_copy(update={"axes": {"X": columns, "Y": rows}})


def slotted(memory: Memory, slot_bits: int) -> Memory:
    """A memory whose words take whole slots."""
    return memory.model_copy(update={"slot_bits": slot_bits})


def sized(memory: Memory, capacity_bits: int) -> Memory:
    """A memory of another capacity at the same energies."""
    return memory.model_copy(update={"capacity_bits": capacity_bits})


def wide_slots() -> Accelerator:
    """A 16-bit machine on chip throughout; only its DRAM packs narrower words."""
    return machine(
        dram_level(),
        glb_level(slotted(GLB, 16)),
        GRID.model_copy(update={"noc_slot_bits": 16}),
        spad_level(*(slotted(pad, 16) for pad in PADS)),
    )
