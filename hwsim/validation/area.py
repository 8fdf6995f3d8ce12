"""Areas of chips and of their parts: the Eyeriss chip, EIE, YodaNN, and single memories.

Two constants are fitted. The periphery of a memory, in proportion to the square root of its
capacity, is a least-squares fit of relative errors on a table of 65 nm memories from 64 B to 4 kB;
the share of a core that cells and macros fill is that of the Eyeriss chip's whole core. EIE's
memories of 2, 32 and 128 kB and its arithmetic are predicted: an SRAM cell of 65 nm and a periphery
fitted on pads reach memories thirty times as large.

Register files of 8 to 32 B come out a sixth to two fifths too small: two generators meet there, and
the table is not smooth. Of the Eyeriss chip the split between pads, buffer and the rest is
predicted. Pads come out a quarter too small, and what is no memory too large, as a whole PE's logic
is taken from the ISCA 2016 study. EIE's published 40.8 mm2 are 64 times one PE, gaps of 4 %
included, so that cells alone are to be compared with it; the pointers' memory is added, which the
machine's file leaves out. Arithmetic is Bit Fusion's synthesis, latches included: two thirds above
Horowitz's bare multiplier and adder. YodaNN is beyond the model and for reading: latches in place
of memories, adders in place of multipliers, and a file whose array and sums stand for an order of
loops, not for silicon.
"""

from collections.abc import Iterator
from typing import Any

from hwsim.area import (
    DENSITY,
    PERIPHERY,
    REGISTER_BITS,
    TO_65,
    area,
    mac_um2,
    memory_um2,
    storage_um2,
)
from hwsim.hardware import load_machine
from hwsim.mac import Mac
from hwsim.validate import Fitted, Row, Target, published

TARGETS = (
    Target(quantity="core_mm2", machine="area_eie", each=0.15),
    Target(quantity="module_um2", machine="area_eie", each=0.20, exceptions=1),
    Target(quantity="part_mm2", machine="area_eyeriss_v1", each=0.30),
)
FITTED = (
    Fitted(
        constant="periphery of a memory",
        value=f"{PERIPHERY.value} um2 x sqrt(bits) at 45 nm",
        fitted_on="storage table of ISCA 2016, 64 B to 4 kB",
        checked_on="EIE's memories of 2, 32 and 128 kB",
    ),
    Fitted(
        constant="share of a core that cells and macros fill",
        value=f"{DENSITY.value}",
        fitted_on="Eyeriss's core, 12.25 mm2",
        checked_on="its parts",
    ),
)


def rows() -> Iterator[Row]:
    """Chips, their parts, and memories by size."""
    table = published("area")
    yield from _eyeriss_rows(table["eyeriss_v1"])
    yield from _eie_rows(table["eie"])
    yodann = area(load_machine("yodann")).core_mm2
    source = table["yodann"]["source"]
    yield _row(
        "yodann", "core", "core_mm2", table["yodann"]["core"], yodann, source, verified=False
    )
    yield from _storage_rows(table["storage"])
    adder = Mac(ifmap_bits=8, weight_bits=8, psum_bits=32)
    for bits, um2 in table["mac"]["um2"].items():
        yield _row(
            "horowitz",
            f"{bits}-bit multiply-add",
            "module_um2",
            um2,
            mac_um2(adder),
            table["mac"]["source"],
        )


def _eyeriss_rows(facts: dict[str, Any]) -> Iterator[Row]:
    found = area(load_machine("eyeriss_v1"))
    source = facts["source"]
    yield _row("eyeriss_v1", "core", "core_mm2", facts["core"], found.core_mm2, source, fitted=True)
    for part, mm2 in facts["parts"].items():
        cells = found.by_component_mm2[part] / DENSITY.value
        yield _row("eyeriss_v1", part, "part_mm2", mm2, cells, source)


def _eie_rows(facts: dict[str, Any]) -> Iterator[Row]:
    machine = load_machine("eie")
    memories = {t: m for lv in machine.levels for m in lv.memories for t in m.tensors}
    weight, activations = memories["weight"], machine.levels[1].memories[0]
    pointers = storage_um2(facts["pointer_bits"])
    um2 = {
        "SpmatRead": memory_um2(weight),
        "PtrRead": pointers,
        "ActRW": memory_um2(activations) / facts["pes"] + memory_um2(memories["ofmap"]),
        "ArithmUnit": mac_um2(machine.mac),
    }
    for module, found in um2.items():
        yield _row("eie", module, "module_um2", facts["pe_um2"][module], found, facts["source"])
    cells = area(machine).cells_mm2 + facts["pes"] * pointers / 1e6
    yield _row("eie", "64 PEs", "core_mm2", facts["core"], cells, facts["source"])


def _storage_rows(facts: dict[str, Any]) -> Iterator[Row]:
    low, high = facts["fitted"]
    for size, um2 in facts["um2_per_byte"].items():
        each = TO_65 * storage_um2(8 * size) / size
        fitted = low <= size <= high or 8 * size == REGISTER_BITS.value
        layer, source = f"{size} B", facts["source"]
        yield _row("storage", layer, "byte_um2", um2, each, source, fitted=fitted)


def _row(
    machine: str,
    layer: str,
    quantity: str,
    value: float,
    simulated: float,
    source: str,
    *,
    fitted: bool = False,
    verified: bool = True,
) -> Row:
    return Row(
        machine=f"area_{machine}",
        network="silicon",
        layer=layer,
        quantity=quantity,
        published=value,
        simulated=simulated,
        source=source,
        fitted=fitted,
        verified=verified,
    )
