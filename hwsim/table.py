"""The report as a table for the terminal: both sides of each layer, totals, ratios, accuracy."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import floor, log10

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from hwsim.cost import COMPONENTS
from hwsim.report import Report
from hwsim.ruled import ruled
from hwsim.side import Kept, LayerRow, Side

# Below this many columns numbers would be cut; a narrower terminal wraps the lines instead.
MIN_COLUMNS = 100
UNBOUNDED = 10_000
NAME_COLUMNS = 15
OPTIONAL_COMPONENTS = ("clock", "leakage")
BITS_A_KILOBYTE = 8e3


def show(report: Report, console: Console) -> None:
    """Prints the table, no number cut, however narrow the console says it is."""
    console.print(table(report), crop=False)
    if report.search:
        from hwsim import codesign_table

        console.print("")
        console.print(codesign_table.table(report.search), crop=False)


def table(report: Report) -> RenderableType:
    """Per layer the baseline's line above the compressed one's; then totals and ratios."""
    layers = _layers(report)
    parts = layers, *_fused(report), *_kept(report), "", _summary(report)
    return AtLeast(Group(*parts), widest=layers)


@dataclass(frozen=True)
class AtLeast:
    """Makes room for what it holds where the console is narrower than its numbers are wide."""

    content: RenderableType
    widest: Table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        least = Measurement.get(console, options.update(width=UNBOUNDED), self.widest).minimum
        yield from console.render(
            self.content, options.update(width=max(options.max_width, MIN_COLUMNS, least))
        )


def digits(value: float) -> str:
    """Three significant digits, four decimals at most: 1,230, 12.3, 0.0123, 0.0012, <0.001."""
    if value == 0:
        return "0"
    if value < 0.001:
        return "<0.001"
    rounded = round(value, _decimals(value))
    return f"{rounded:,.{max(_decimals(rounded), 0)}f}"


def _decimals(value: float) -> int:
    return min(2 - floor(log10(value)), 4)


def _layers(report: Report) -> Table:
    components = _components(report)
    found = ruled(
        f"{report.scenario}: per layer, upper line {_title(report.baseline)}, "
        f"lower line {_title(report.compressed)}"
    )
    found.add_column("layer", overflow="fold", min_width=10)
    heads = ["bits", "cycles", "PE %", *(f"{name}\nµJ" for name in components)]
    for head in [*heads, "energy\nµJ", "DRAM\nkB"]:
        found.add_column(head, justify="right", no_wrap=True)
    for pair in report.folded_pairs:
        name = next(row.name for row in pair if row)
        found.add_row(_folded(name), *_stacked(_layer_cells(row, components) for row in pair))
    found.add_section()
    totals = (_side_cells(side, components) for _, side in report.sides)
    found.add_row("total", *_stacked(totals), style="bold")
    return found


def _components(report: Report) -> list[str]:
    """The components to show: clock and leakage only where a side has some."""
    energies = [side.energy_by_component_pj for _, side in report.sides]
    return [
        name
        for name in COMPONENTS
        if name not in OPTIONAL_COMPONENTS or any(energy[name] for energy in energies)
    ]


def _title(side: Side) -> str:
    return f"{side.label} on {side.machine}"


def _folded(name: str) -> str:
    """A long dotted name on two lines, broken at the dot that keeps the longer one shortest."""
    dots = [place + 1 for place, letter in enumerate(name) if letter == "."]
    if len(name) <= NAME_COLUMNS or not dots:
        return name
    dot = min(dots, key=lambda place: max(place, len(name) - place))
    return f"{name[:dot]}\n{name[dot:]}"


def _stacked(lines: Iterable[list[str]]) -> list[Text]:
    """Cells of two lines each, the lower one in colour, from the cells of two lines."""
    upper, lower = lines
    return [
        Text.assemble(first, "\n", (second, "cyan"), justify="right")
        for first, second in zip(upper, lower, strict=True)
    ]


def _layer_cells(row: LayerRow | None, components: list[str]) -> list[str]:
    if row is None:
        return ["-", *[""] * (len(components) + 4)]
    widths = [row.ifmap_bits, row.weight_bits] if row.macs else [row.ifmap_bits]
    return ["/".join(map(str, dict.fromkeys(widths))), *_quantities(row, components)]


def _side_cells(side: Side, components: list[str]) -> list[str]:
    return ["", *_quantities(side, components)]


def _quantities(found: LayerRow | Side, components: list[str]) -> list[str]:
    energies = [found.energy_by_component_pj[name] for name in components]
    return [
        f"{found.cycles:,}",
        f"{100 * found.utilization:.1f}",
        *(digits(energy / 1e6) for energy in [*energies, found.energy_pj]),
        digits(found.dram_bits / BITS_A_KILOBYTE),
    ]


def _fused(report: Report) -> list[RenderableType]:
    """A paragraph on the fused layers of each side, one for both where they are the same."""
    before, after = (
        (side.label, [row.name for row in side.layers if row.fused_into])
        for _, side in report.sides
    )
    lists = [("", before[1])] if before[1] == after[1] else [before, after]
    return [
        Padding(Text(_fused_line(label, names), style="dim"), (1, 0, 0, 0))
        for label, names in lists
        if names
    ]


def _fused_line(label: str, names: list[str]) -> str:
    where = f"in {label} " if label else ""
    return f"Fused {where}into the layer before, at no cycles and no traffic: {', '.join(names)}"


def _kept(report: Report) -> list[RenderableType]:
    """What stays on chip on each side, and what that saves."""
    found = ruled(gap=2)
    found.add_column("kept on chip", no_wrap=True)
    for head in ("ofmaps", "energy µJ", "latency ms", "DRAM traffic kB"):
        found.add_column(head, justify="right", no_wrap=True)
    for _, side in report.sides:
        if side.kept:
            found.add_row(side.label, f"{len(side.kept.ofmaps)}", *_savings(side, side.kept))
    return ["", found] if found.rows else []


def _savings(side: Side, kept: Kept) -> list[str]:
    """Energy, latency and DRAM traffic: with every ofmap in DRAM, and as they are."""
    pairs = (
        (kept.apart_energy_pj / 1e6, side.energy_pj / 1e6),
        (kept.apart_latency_ms, side.latency_ms),
        (kept.apart_dram_bits / BITS_A_KILOBYTE, side.dram_bits / BITS_A_KILOBYTE),
    )
    return [
        f"{digits(apart)} → {digits(now)} ({100 * (now / apart - 1):+.0f} %)"
        for apart, now in pairs
    ]


def _summary(report: Report) -> Table:
    before, after, ratios = report.baseline, report.compressed, report.ratios
    found = ruled(gap=2)
    found.add_column(_batch(before), no_wrap=True)
    for head in (before.label, after.label, "gain"):
        found.add_column(head, justify="right", no_wrap=True)
    for name, first, second, ratio in (
        ("energy µJ", before.energy_pj / 1e6, after.energy_pj / 1e6, ratios.energy),
        ("latency ms", before.latency_ms, after.latency_ms, ratios.latency),
        ("DRAM traffic kB", *_kilobytes(report), ratios.dram),
    ):
        gain = "-" if ratio is None else f"{ratio:.2f}x"
        found.add_row(name, digits(first), digits(second), gain, style="bold")
    found.add_row(*_accuracy(report), style="bold")
    return found


def _kilobytes(report: Report) -> tuple[float, float]:
    before, after = (side.dram_bits / BITS_A_KILOBYTE for _, side in report.sides)
    return before, after


def _batch(side: Side) -> str:
    return f"{side.network}, batch of {side.batch}"


def _accuracy(report: Report) -> list[str]:
    shares = [side.top1 for _, side in report.sides]
    name = f"top-1 % of {report.images:,} images" if report.images else "top-1 %"
    cells = ["not measured" if share is None else f"{100 * share:.2f}" for share in shares]
    known = [share for share in shares if share is not None]
    change = f"{100 * (known[1] - known[0]):+.2f} points" if len(known) == 2 else "-"
    return [name, *cells, change]
