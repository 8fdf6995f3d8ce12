"""One network on one machine, as a versioned record and its files: run.json and layers.csv."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from rich.console import Group, RenderableType
from rich.text import Text

from hwsim.config import Config
from hwsim.report import installed_version
from hwsim.results import csv_text, read_record
from hwsim.ruled import ruled
from hwsim.side import LayerRow, Side, flat, side_of
from hwsim.table import BITS_A_KILOBYTE, digits

if TYPE_CHECKING:
    from hwsim.simulate import NetworkResult

RECORD, LAYERS = "run.json", "layers.csv"
HEADS = ("bits", "MACs", "cycles", "PE %", "bound", "energy\nµJ", "DRAM\nkB")


class Run(Config):
    """What `hwsim simulate` found: where the network came from, and its layers and totals."""

    kind: Literal["run"] = "run"
    schema_version: Literal[1] = 1
    hwsim_version: str
    source: str
    objective: str
    effort: int
    side: Side


def record(result: "NetworkResult", *, source: str, objective: str, effort: int) -> Run:
    """A simulated network as plain numbers."""
    label = f"{result.network.name} on {result.machine.name}"
    return Run(
        hwsim_version=installed_version(),
        source=source,
        objective=objective,
        effort=effort,
        side=side_of(result, label=label),
    )


def to_json(run: Run) -> str:
    """The text of run.json."""
    return run.model_dump_json(indent=1) + "\n"


def contents(run: Run) -> dict[str, bytes]:
    """Every file of the results folder by name."""
    return {RECORD: to_json(run).encode(), LAYERS: to_csv(run).encode()}


def to_csv(run: Run) -> str:
    """The text of layers.csv: a row per layer; mappings are left to run.json."""
    return csv_text([flat(row) for row in run.side.layers])


def is_one(path: Path) -> bool:
    """Whether a file is a record of one side, whatever its name."""
    if path.name == RECORD:
        return True
    with path.open(encoding="utf-8", errors="replace") as lines:
        return any('"kind": "run"' in line for _, line in zip(range(3), lines, strict=False))


def read(path: Path) -> Run:
    """The record in a file. Raises InputError naming file, key and value."""
    return read_record(path, Run, what="a record of a run")


def shown(run: Run) -> RenderableType:
    """A line for each layer that moves data, and the totals."""
    side = run.side
    found = ruled()
    found.title, found.title_justify = f"{side.label}, batch of {side.batch}", "left"
    found.add_column("layer", overflow="fold")
    for head in HEADS:
        found.add_column(head, justify="right", no_wrap=True)
    for row in side.layers:
        if not row.fused_into:
            found.add_row(row.name, *cells(row))
    found.add_section()
    found.add_row("total", *totals(side), style="bold")
    fused = sum(1 for row in side.layers if row.fused_into)
    note = f"{fused} layers ride on the one before, at no cycles and no traffic" if fused else ""
    summary = f"{digits(side.energy_pj / 1e6)} µJ, {digits(side.latency_ms)} ms"
    return Group(found, Text(note, style="dim"), Text(summary, style="bold"))


def cells(row: LayerRow) -> list[str]:
    """A layer's quantities."""
    widths = [row.ifmap_bits, row.weight_bits] if row.macs else [row.ifmap_bits]
    return [
        "/".join(map(str, dict.fromkeys(widths))),
        f"{row.macs:,}" if row.macs else "",
        f"{row.cycles:,}",
        f"{100 * row.utilization:.1f}",
        row.bound,
        *energy_and_traffic(row),
    ]


def totals(side: Side) -> list[str]:
    """A network's quantities."""
    use = f"{100 * side.utilization:.1f}"
    return ["", f"{side.macs:,}", f"{side.cycles:,}", use, "", *energy_and_traffic(side)]


def energy_and_traffic(found: LayerRow | Side) -> list[str]:
    """Energy in microjoules and DRAM traffic in kilobytes."""
    return [digits(found.energy_pj / 1e6), digits(found.dram_bits / BITS_A_KILOBYTE)]
