"""Small machines, drawn or made up, with integer energies, no two alike, shared by the tests.

Energies are primes in pJ a bit, dearer outwards, so that a count that lands at the wrong level, or
a read taken for a write, shows in the sum; as integers they add up without rounding.
"""

from dataclasses import replace
from math import ceil, inf

from hypothesis import strategies as st

from hwsim.hardware import Accelerator, Array, Control, Mac, Memory, MemoryLevel
from hwsim.mac import Precision
from hwsim.mapping import Loop, Mapping, Store
from hwsim.registry import names
from hwsim.workload import TENSORS, Decoder, Layer, Op, Storage, Stored
from tests import oracle
from tests.strategies import layers, mappings

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


DATAFLOWS = tuple(name for name in names("dataflow") if name != "streaming")
CONV = Layer(name="conv", K=8, C=6, P=7, Q=9, R=3, S=2)

# A matrix product of [2, 4] by [4, 3]: N = 2 rows, C = 4 summed over, K = 3 columns. 24 MACs.
MATMUL = Layer(name="matmul", op=Op.MATMUL, N=2, C=4, K=3).at_bits(
    ifmap=8, weight=4, ofmap=8, psum=16
)
# Columns of PEs take different k, rows different c; each PE keeps one weight for both n.
SQUARE = machine(
    dram_level(),
    glb_level(GLB.model_copy(update={"tensors": ("ifmap", "ofmap")})),
    grid(2, 2),
    spad_level(PADS[1]),
)
STATIONARY = Mapping(
    (
        Store("DRAM", ("ifmap", "weight", "ofmap")),
        Store("GLB", ("ifmap", "ofmap")),
        Loop("K", 2),
        Loop("C", 2),
        Loop("K", 1, "X"),
        Loop("C", 1, "Y"),
        Store("spad", ("weight",)),
        Loop("N", 1),
    )
)

Case = tuple[Layer, Mapping, Accelerator]
# None; bit-serial in the weight; and bricks of 4 bits that fuse, four a cycle.
PRECISIONS = (
    None,
    Precision(widths={"weight": tuple(range(1, 17))}, cycles=16),
    Precision(widths={"ifmap": (4, 8, 16), "weight": (4, 8, 16)}, cycles=4),
)


def cycles_a_mac(layer: Layer, machine: Accelerator) -> float:
    """Of the machines of `cases`, told by the precision in words."""
    at = PRECISIONS.index(machine.mac.precision)
    if at == 0 or not layer.weighted:
        return 1.0
    if at == 1:
        return layer.weight.bits
    digits = {bits: (1, 1, 2, 4, 4)[ceil(bits / 4)] for bits in range(1, 17)}
    return digits[layer.ifmap.bits] * digits[layer.weight.bits] / 4


def arithmetic_cycles(layer: Layer, mapping: Mapping, machine: Accelerator) -> int:
    """Cycles of the MACs of a case: those of one psum's products in a PE, each time it has some."""
    steps = oracle.compute_steps(layer, mapping)
    point = replace(layer, N=1, G=1, K=1, P=1, Q=1, H=0, W=0, pad_h=0, pad_w=0)
    one = oracle.compute_steps(point, mapping)
    return steps // one * ceil(one * cycles_a_mac(layer, machine))


def coded_bits(layer: Layer, machine: Accelerator, tensor: str, level: str) -> float:
    """Bits of a weight in the one code that it may have in `cases`, where a level can read it."""
    parts = [part for part in machine.levels if part.level == level]
    memory = parts[0].memory(tensor) if parts else None
    if tensor == "weight" and memory and memory.decoders and layer.weight.stored:
        code = layer.weight.stored[0]
        if code.decoders == (Decoder.CODEBOOK,):
            slots = -(-code.bits // memory.slot_bits)
            return slots * memory.slot_bits / layer.words("weight")
    return inf


BANDWIDTHS = st.sampled_from((None, 0.5, 2.0, 16.0))


@st.composite
def _memories(draw: st.DrawFn, memories: tuple[Memory, ...], *, timed: bool) -> list[Memory]:
    """The memories with slots of their own and, where `timed`, any ports and buffering."""
    found = []
    for memory in memories:
        slot = 1 if memory.cell == "dram" else draw(st.sampled_from((1, 6, 16)))
        changes: dict[str, object] = {"slot_bits": slot}
        if timed:
            changes |= {
                "read_bits_per_cycle": draw(BANDWIDTHS),
                "write_bits_per_cycle": draw(BANDWIDTHS),
                "shared_port": draw(st.booleans()),
                "buffering": draw(st.sampled_from(("single", "double", "stream"))),
            }
        found.append(memory.model_copy(update=changes))
    return found


@st.composite
def _array(draw: st.DrawFn, axis: str, pj: int, *, timed: bool) -> Array:
    buses = {t: draw(BANDWIDTHS) for t in TENSORS} if timed else {}
    return Array(
        axes={axis: 5},
        multicast=tuple(draw(st.sets(st.sampled_from(("ifmap", "weight"))))),
        reduces=draw(st.booleans()),
        noc_pj_per_bit=pj,
        noc_slot_bits=draw(st.sampled_from((1, 16))),
        bus_bits_per_cycle={tensor: width for tensor, width in buses.items() if width},
    )


@st.composite
def deep_machines(draw: st.DrawFn, *, timed: bool = False) -> Accelerator:
    """DRAM, buffer, three arrays of one axis each and two levels of pads, all drawn at random."""
    formats = {"ifmap": Storage.BITMAP} if draw(st.booleans()) else {}
    read = draw(st.sampled_from((0, 0, 1, 2, 3)))  # so many levels, outermost first, decode weights
    coded = [{"weight": (Decoder.CODEBOOK,)} if level < read else {} for level in range(3)]
    dram = DRAM.model_copy(update={"formats": formats, "decoders": coded[0]})
    glb = GLB.model_copy(update={"decoders": coded[1]})
    pads = tuple(
        pad.model_copy(update={"decoders": coded[2] if "weight" in pad.tensors else {}})
        for pad in PADS
    )
    mac = {"zero_gating": draw(st.booleans()), "precision": draw(st.sampled_from(PRECISIONS))}
    latches = tuple(
        pad.model_copy(update={"read_pj_per_bit": 59 + 2 * i, "write_pj_per_bit": 60 + 2 * i})
        for i, pad in enumerate(PADS)
    )
    return machine(
        dram_level(*draw(_memories((dram,), timed=timed))),
        glb_level(*draw(_memories((glb,), timed=timed))),
        *(
            draw(_array(axis, pj, timed=timed))
            for axis, pj in zip("XYZ", (43, 47, 53), strict=True)
        ),
        spad_level(*draw(_memories(pads, timed=timed))),
        MemoryLevel(
            level="latch",
            component="spad",
            memories=tuple(draw(_memories(latches, timed=timed))),
        ),
        mac=MAC.model_copy(update=mac),
        stores_padding=draw(st.booleans()),
    )


def _codes(layer: Layer) -> st.SearchStrategy[Stored]:
    """Codes that save much, little or nothing, one of which no machine here can read."""
    bits = st.integers(1, 20 * layer.words("weight"))
    decoders = st.sampled_from((Decoder.CODEBOOK, Decoder.CODEBOOK, Decoder.HUFFMAN))
    return st.builds(lambda bits, decoder: Stored(bits, (decoder,)), bits, decoders)


@st.composite
def cases(draw: st.DrawFn, *, timed: bool = False) -> Case:
    """A small layer of any widths, a mapping and a machine; capacities need not suffice."""
    layer = draw(layers(points=120))
    bits = st.sampled_from((4, 8, 16))
    layer = layer.at_bits(ifmap=draw(bits), weight=draw(bits), ofmap=draw(bits), psum=draw(bits))
    density = draw(st.sampled_from((0.25, 0.5, 1.0)))
    layer = replace(layer, ifmap=replace(layer.ifmap, density=density))
    if layer.weighted and draw(st.booleans()):
        layer = replace(layer, weight=replace(layer.weight, stored=(draw(_codes(layer)),)))
    return layer, draw(mappings(layer)), draw(deep_machines(timed=timed))


@st.composite
def convs(draw: st.DrawFn) -> Layer:
    """A small layer, never square, its rows and columns of different strides."""
    return Layer(
        name="conv",
        N=draw(st.sampled_from((1, 1, 2, 4))),
        G=draw(st.sampled_from((1, 1, 3, 6))),
        K=draw(st.integers(1, 12)),
        C=draw(st.integers(1, 12)),
        P=draw(st.integers(1, 6)),
        Q=draw(st.integers(2, 7)),
        R=draw(st.integers(1, 3)),
        S=draw(st.integers(1, 2)),
        stride_h=draw(st.integers(1, 2)),
        dilation_w=draw(st.integers(1, 2)),
    )
