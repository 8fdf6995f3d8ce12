"""What the page says of a side, and of a layer on it: pairs of a name and a text."""

from collections.abc import Iterator

from hwsim.cost import COMPONENTS
from hwsim.side import LayerRow, Side
from hwsim.table import BITS_A_KILOBYTE, digits

Fact = tuple[str, str]


def of_side(side: Side) -> Iterator[Fact]:
    """Its network and machine, its totals, and what stays on chip."""
    yield "network", f"{side.network}, batch of {side.batch:,}"
    yield "machine", f"{side.machine} at {side.clock_mhz:g} MHz"
    yield "energy", f"{digits(side.energy_pj / 1e6)} µJ"
    yield "latency", f"{digits(side.latency_ms)} ms ({side.cycles:,} cycles)"
    yield "DRAM traffic", f"{digits(side.dram_bits / BITS_A_KILOBYTE)} kB"
    if side.top1 is not None:
        yield "top-1", f"{100 * side.top1:.2f} %"
    if side.kept:
        yield "kept on chip", f"{len(side.kept.ofmaps)} ofmaps: {', '.join(side.kept.ofmaps)}"
        yield "without that", f"{digits(side.kept.apart_energy_pj / 1e6)} µJ"


def of_layer(row: LayerRow, side: Side) -> Iterator[Fact]:
    """Its size and words, its time and energy, and what it moves."""
    bounds = " ".join(f"{dim}={size}" for dim, size in row.bounds.items())
    ms = digits(row.cycles / side.clock_mhz / 1e3)
    widths = (("ifmap", row.ifmap_bits), ("weight", row.weight_bits))
    bits = ", ".join(f"{name} {n}" for name, n in (*widths, ("psum", row.psum_bits)))
    yield "loop bounds", bounds or "all 1"
    if row.strides and row.strides != (1, 1):
        yield "strides", f"{row.strides[0]} of rows, {row.strides[1]} of columns"
    yield "bits", bits
    yield "time", f"{row.cycles:,} cycles ({ms} ms), bound by {row.bound}"
    yield "arithmetic alone", f"{row.compute_cycles:,} cycles"
    yield "PEs' time that is work", f"{100 * row.utilization:.1f} %"
    yield "energy", _energies(row)
    read, written = (digits(n / BITS_A_KILOBYTE) for n in (row.dram_read_bits, row.dram_write_bits))
    yield "DRAM", f"{read} kB read, {written} kB written"


def _energies(row: LayerRow) -> str:
    parts = ((name, row.energy_by_component_pj[name]) for name in COMPONENTS)
    listed = ", ".join(f"{name} {digits(pj / 1e6)}" for name, pj in parts if pj)
    return f"{digits(row.energy_pj / 1e6)} µJ: {listed}"
