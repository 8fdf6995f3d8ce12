"""Energies of single operations by bit-width, against Horowitz's table, Bit Fusion and CNNergy.

Horowitz's table gives integer adds of 8, 16 and 32 bits, multiplies of 8 and 32 bits, SRAM and DRAM
accesses. hwsim takes an affine law through two of the adds, a power law through the two multiplies,
a square-root law through the 64-bit word of the 8 kB SRAM, and the 32-bit word of DRAM: those
numbers are anchors, agree by construction and count as fitted. The 16-bit add, the 32-bit word of
the SRAM and EIE's statement of what a 16-bit multiply takes are predicted. The 64-bit words of
SRAMs and DRAM could not be checked in print and decide nothing.

The power law puts a 16-bit multiply a quarter above EIE's: EIE's ratio of five between 32 and 16
bits and Horowitz's of 15.5 between 32 and 8 bits lie on no one power of the width. CNNergy's 16-bit
multiply-add, at 65 nm and 1.0 V, lies 5 % above the law.

Bit Fusion published the synthesis of one processing element, a multiplier with its accumulator, at
2, 4, 8 and 16 bits. Nothing is fitted on it; the accumulator's width is not stated and is taken as
32 bits. From 8 bits up the law agrees. Below, that adder is nearly all of the law's energy, and the
published elements take less, half as much at 2 bits: they add fewer bits, or add them more cheaply.
A machine of very few bits should state the energy of its own MAC.

Floating-point operations, the 32-bit register file of unstated size and Bit Fusion's elements of
changing width have no counterpart in hwsim.
"""

from collections.abc import Callable, Iterator
from typing import Any

from hwsim.scaling import scale
from hwsim.technology import add_pj, dram_pj_per_bit, mac_pj, multiply_pj, sram_pj_per_bit
from hwsim.validate import Fitted, Row, published
from hwsim.workload import Primitive

FITTED = tuple(
    Fitted(constant=law, value=value, fitted_on=anchors, checked_on=checks)
    for law, value, anchors, checks in (
        ("add: affine in the width", "through the anchors", "Horowitz, 8 and 32 bits", "16 bits"),
        (
            "multiply: power of the product of widths",
            "exponent 0.989",
            "Horowitz, 8 and 32 bits",
            "EIE's 16 bits; Bit Fusion and CNNergy",
        ),
        (
            "SRAM: square root of the capacity",
            "through the anchor",
            "Horowitz, 8 kB by 64 bits",
            "8 kB by 32 bits",
        ),
    )
)


def rows() -> Iterator[Row]:
    """Every published energy of an operation, in pJ."""
    for machine, table in published("energies").items():
        common = table.pop("common")
        for quantity, entries in table.items():
            for entry in entries:
                yield _row(machine, quantity, common | entry)


def _row(machine: str, quantity: str, entry: dict[str, Any]) -> Row:
    width = f"{entry['bits']} bits"
    return Row(
        machine=machine,
        network="single operations",
        layer=f"{width} of {entry['kilobytes']} kB" if "kilobytes" in entry else width,
        quantity=quantity,
        published=float(entry["pj"]),
        simulated=_simulated_pj(quantity, entry),
        source=entry["source"],
        fitted=entry.get("anchor", False),
        verified=entry.get("verified", True),
    )


def _simulated_pj(quantity: str, entry: dict[str, Any]) -> float:
    """What the law says; DRAM, off the chip, keeps its energy at every node."""
    energy_pj = _LAWS[quantity](entry)
    if quantity == "dram_pj":
        return energy_pj
    return scale(energy_pj, node_nm=entry["node_nm"], voltage=entry["voltage"])


def _sram_pj(entry: dict[str, Any]) -> float:
    bits: int = entry["bits"]
    return sram_pj_per_bit(entry["kilobytes"] * 1024 * 8, word_bits=bits) * bits


def _multiply_add_pj(entry: dict[str, Any]) -> float:
    bits, psum_bits = entry["bits"], entry["psum_bits"]
    return mac_pj(Primitive.MULTIPLY_ADD, ifmap_bits=bits, weight_bits=bits, psum_bits=psum_bits)


_LAWS: dict[str, Callable[[dict[str, Any]], float]] = {
    "add_pj": lambda entry: add_pj(bits=entry["bits"]),
    "multiply_pj": lambda entry: multiply_pj(ifmap_bits=entry["bits"], weight_bits=entry["bits"]),
    "multiply_add_pj": _multiply_add_pj,
    "sram_pj": _sram_pj,
    "dram_pj": lambda entry: dram_pj_per_bit("horowitz") * float(entry["bits"]),
}
