"""What `hwsim map --chain` prints: a fused chain's schedule and cost, as tables or as JSON."""

import json
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table

from hwsim import layer_text
from hwsim._chain import Schedule
from hwsim.cost import Totals
from hwsim.fusion import FusedChain, MappedLoad, MappedPiece
from hwsim.hardware import Accelerator
from hwsim.objective import UNITS
from hwsim.ruled import ruled
from hwsim.table import BITS_A_KILOBYTE, digits


def to_json(found: FusedChain, machine: Accelerator) -> str:
    """The answer as one record; each piece's `mapping` is what `Mapping.from_yaml` reads."""
    schedule = found.schedule
    record = {
        "layers": [layer_text.text(layer) for layer in found.layers],
        "machine": machine.name,
        "objective": found.objective,
        "value": found.value,
        "lower_bound": found.lower_bound,
        "gap": found.gap,
        **found.totals._asdict(),
        "macs": found.macs,
        "apart": found.apart._asdict() if found.apart else None,
        "schedule": {name: getattr(schedule, name) for name in schedule.__dataclass_fields__},
        "pieces": [_piece(mapped) for mapped in found.pieces],
        "loads": [_load(mapped) for mapped in found.loads],
        "evaluated": found.evaluated,
        "schedules": found.schedules,
        "seconds": found.seconds,
    }
    return json.dumps(record, indent=2) + "\n"


def _piece(mapped: MappedPiece) -> dict[str, Any]:
    return {
        "layer": layer_text.text(mapped.piece.layer),
        "times": mapped.piece.times,
        "homes": mapped.machine.homes,
        "energy_pj": mapped.cost.energy_pj,
        "cycles": mapped.cost.cycles,
        "mapping": mapped.mapping.to_yaml(),
    }


def _load(mapped: MappedLoad) -> dict[str, Any]:
    load = mapped.load
    return {
        "layer": load.layer.name,
        "tensor": load.tensor,
        "words": load.layer.words(load.tensor),
        "times": load.times,
        "energy_pj": mapped.cost.energy_pj,
        "cycles": mapped.cost.cycles,
    }


def shown(found: FusedChain, machine: Accelerator) -> RenderableType:
    """The schedule in words, what each layer takes, and the saving."""
    return Group(
        f"{' + '.join(layer.name for layer in found.layers)} on {machine.name}\n",
        f"{_schedule(found.schedule, [layer.name for layer in found.layers])}\n",
        _parts(found),
        "",
        _saving(found, machine),
        "",
        _verdict(found),
    )


def _schedule(schedule: Schedule, names: list[str]) -> str:
    """What is done at a time, and what waits for the next tile."""
    waits = [
        name
        for name, cached in (("rows", schedule.rows_cached), ("columns", schedule.columns_cached))
        if cached
    ]
    kept = [name for name, here in zip(names, schedule.weights_kept, strict=True) if here]
    return "\n".join(
        (
            f"tiles of {schedule.n} x {schedule.p} x {schedule.q}"
            " (images, rows, columns of the last ofmap)",
            f"halos: {' and '.join(waits) + ' wait on chip' if waits else 'none waits on chip'}",
            f"first ifmap: {'copied to the buffer' if schedule.loaded else 'read from DRAM'}",
            f"weights on chip for all tiles: {', '.join(kept) or 'none'}",
        )
    )


def _parts(found: FusedChain) -> Table:
    """A line for each layer, its largest tile and the sums over all, and for each copied tensor."""
    shown = _table("part", "tiles", "N x P x Q", "cycles", "energy µJ")
    for place, layer in enumerate(found.layers):
        mapped = [each for each in found.pieces if each.piece.place == place]
        pieces = [each.piece for each in mapped]
        sizes = zip(*((p.images, p.rows.made, p.columns.made) for p in pieces), strict=True)
        most = " x ".join(str(max(size)) for size in sizes)
        totals = Totals.of((each.piece.times, each.cost) for each in mapped)
        tiles = sum(piece.times for piece in pieces)
        shown.add_row(layer.name, f"{tiles:,}", most, *_sums(totals))
    copied = dict.fromkeys((each.load.layer.name, each.load.tensor) for each in found.loads)
    for name, tensor in copied:
        loads = [x for x in found.loads if (x.load.layer.name, x.load.tensor) == (name, tensor)]
        totals = Totals.of((each.load.times, each.cost) for each in loads)
        tiles = sum(each.load.times for each in loads)
        shown.add_row(f"{name} {tensor}, copied", f"{tiles:,}", "", *_sums(totals))
    return shown


def _sums(totals: Totals) -> tuple[str, str]:
    return f"{totals.cycles:,}", digits(totals.energy_pj / 1e6)


def _saving(found: FusedChain, machine: Accelerator) -> Table:
    """Tile by tile beside layer by layer."""
    shown = _table("", "energy µJ", "ms", "DRAM kB")
    if found.apart:
        shown.add_row("one by one", *_cells(found.apart, machine))
    shown.add_row("fused", *_cells(found.totals, machine), style="bold")
    if found.apart:
        pairs = zip(found.apart, found.totals, strict=True)
        gains = (f"{apart / now:.2f}x" if now else "-" for apart, now in pairs)
        shown.add_row("gain", *gains)
    return shown


def _cells(totals: Totals, machine: Accelerator) -> tuple[str, str, str]:
    ms = totals.cycles / machine.clock_mhz / 1e3
    return digits(totals.energy_pj / 1e6), digits(ms), digits(totals.dram_bits / BITS_A_KILOBYTE)


def _verdict(found: FusedChain) -> str:
    """The objective's value, how far from the best it may be, and what it took to know."""
    said = f"{found.objective} {found.value:.6g} {UNITS[found.objective]}"
    if found.gap is not None:
        least = f"{found.lower_bound:.6g} (gap {digits(100 * found.gap)} %)"
        said += f"\nno schedule of even tiles below {least}"
    return (
        f"{said}\n{found.evaluated:,} of {found.schedules:,} schedules mapped in "
        f"{digits(found.seconds)} s"
    )


def _table(head: str, *heads: str) -> Table:
    shown = ruled(gap=2)
    shown.add_column(head, overflow="fold")
    for name in heads:
        shown.add_column(name, justify="right", no_wrap=True)
    return shown
