"""A mapping explained: its loop nest with the sizes of what stays where, how full every memory is,
where the energy goes, and what the cycles are bound by."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

from rich.table import Table

from hwsim.cost import Cost
from hwsim.hardware import Accelerator, Array
from hwsim.mapping import Loop, Mapping, kept_bits, tile_words
from hwsim.ruled import ruled
from hwsim.table import digits
from hwsim.workload import Layer


def nest(mapping: Mapping, layer: Layer) -> str:
    """The nest, a line a node: trips and tile of each loop, words of each kept tile."""
    depth, loops, lines = 0, 0, []
    for node in mapping:
        if isinstance(node, Loop):
            extent = mapping.tile(layer, loops)[node.dim]
            lines.append("  " * depth + loop_line(node, extent))
            loops += 1
            depth += 1
        else:
            kept = (f"{t} {_words(mapping, layer, t, node.level):,}" for t in node.tensors)
            lines.append("  " * depth + f"[{node.level} keeps {', '.join(kept)} words]")
    return "\n".join(lines)


def loop_line(loop: Loop, extent: int) -> str:
    """A loop in words, its dimension `extent` long there: trips, tile, and a ragged last one."""
    trips = ceil(extent / loop.tile)
    last = extent - (trips - 1) * loop.tile
    ragged = f", the last of {last}" if last < loop.tile else ""
    where = f"over {loop.axis}: " if loop.axis else "for "
    tiles = "tiles" if trips > 1 else "tile"
    return f"{where}{loop.dim} in {trips} {tiles} of {loop.tile}{ragged}"


def _words(mapping: Mapping, layer: Layer, tensor: str, level: str) -> int:
    """Words of the largest tile that a level keeps; at home, which comes first, none is padding."""
    stores = mapping.stores(tensor)
    if level == stores[0][0]:
        return layer.words(tensor)
    return tile_words(layer, tensor, mapping.tile(layer, dict(stores)[level]))


@dataclass(frozen=True, kw_only=True)
class Fill:
    """What one instance of a memory keeps: words by tensor, their bits, and the most that fit.

    Of a double-buffered memory that is half; what has its home there is left out.
    """

    level: str
    instances: int
    words: dict[str, int]
    bits: int
    usable_bits: int


def fills(mapping: Mapping, layer: Layer, machine: Accelerator) -> Iterator[Fill]:
    """Every memory but DRAM, outermost first."""
    instances = 1
    for part in machine.hierarchy:
        if isinstance(part, Array):
            instances *= part.instances
            continue
        for memory in part.memories:
            words = {
                tensor: tile_words(layer, tensor, mapping.tile(layer, before))
                for tensor in layer.tensors
                for level, before in mapping.stores(tensor)[1:]
                if tensor in memory.tensors and level == part.level
            }
            bits = ceil(sum(n * kept_bits(layer, memory, tensor) for tensor, n in words.items()))
            if memory.capacity_bits is not None:
                yield Fill(
                    level=part.level,
                    instances=instances,
                    words=words,
                    bits=bits,
                    usable_bits=int(memory.usable_bits),
                )


def memory_table(mapping: Mapping, layer: Layer, machine: Accelerator) -> Table:
    """How full each memory is."""
    shown = _table("memory", "instances", "keeps (words)", "bits", "of", "full %")
    for fill in fills(mapping, layer, machine):
        shown.add_row(
            fill.level,
            f"{fill.instances:,}",
            ", ".join(f"{tensor} {words:,}" for tensor, words in fill.words.items()) or "-",
            f"{fill.bits:,}",
            f"{fill.usable_bits:,}",
            f"{100 * fill.bits / fill.usable_bits:.1f}",
        )
    return shown


def energy_table(found: Cost) -> Table:
    """Energy by component, and its share."""
    shown = _table("energy", "µJ", "share %")
    for name, pj in found.energy_by_component_pj.items():
        if pj:
            shown.add_row(name, digits(pj / 1e6), f"{100 * pj / found.energy_pj:.1f}")
    shown.add_section()
    shown.add_row("total", digits(found.energy_pj / 1e6), "", style="bold")
    return shown


def time_line(found: Cost, machine: Accelerator) -> str:
    """Cycles, milliseconds, what they are bound by, and how busy the PEs are."""
    ms = found.cycles / machine.clock_mhz / 1e3
    return (
        f"{found.cycles:,} cycles ({digits(ms)} ms), bound by {found.bound}; "
        f"{100 * found.utilization:.1f} % of {machine.pes:,} PEs' time is work"
    )


def _table(head: str, *heads: str) -> Table:
    shown = ruled()
    shown.add_column(head, no_wrap=True)
    for name in heads:
        words = "words" in name
        shown.add_column(name, justify="left" if words else "right", no_wrap=not words)
    return shown
