"""What a search chose, for the terminal: each layer's choice, what it saves and why."""

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hwsim.codesign_report import CodesignReport, LayerChoice
from hwsim.table import digits

HEADS = ("layer", "choice", "energy µJ", "before", "points", "runner-up", "what paid most")
PJ_A_UJ = 1e6


def table(report: CodesignReport) -> RenderableType:
    """A row for each layer that had a choice, and whether the budget holds."""
    found = Table(*HEADS, box=box.SIMPLE_HEAD, pad_edge=False)
    for column in found.columns[2:5]:
        column.justify = "right"
    for layer in report.compressed_layers:
        found.add_row(*_cells(layer))
    considered = f"{len(report.attempts)} plans measured, {len(report.dropped)} choices left out"
    return Group(found, Text(f"{report.text}; {considered}"))


def _cells(layer: LayerChoice) -> tuple[str, ...]:
    before = layer.baseline_energy_pj
    return (
        layer.name,
        layer.choice,
        digits(layer.energy_pj / PJ_A_UJ),
        "-" if before is None else digits(before / PJ_A_UJ),
        f"{0.0 - 100 * layer.accuracy_drop:.2f}",
        layer.runner_up or "-",
        layer.paid,
    )
