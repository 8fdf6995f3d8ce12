"""Where the energy went: from the network as it is to the plan, layer by layer."""

from dataclasses import dataclass
from math import fsum

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hwsim.codesign_report import CodesignReport, LayerChoice
from hwsim.table import digits
from plots._style import BLUE, GREY, VERMILLION, canvas, energy_unit

MOST_STEPS = 16
ROW_IN = 0.26
ROOM = 0.5  # of the axis: notes of bars beyond it stand to their left


@dataclass(frozen=True)
class Step:
    """What one layer, or several, save; negative where they cost more."""

    name: str
    saved_pj: float
    note: str = ""


def draw_codesign(report: CodesignReport) -> Figure:
    """Bars from the whole down to the plan, layers that save most first, with what they got and
    what paid. Where the machine cannot run the network as it is, from nothing up to the plan."""
    known = report.baseline.energy_pj is not None
    start, end = report.baseline.energy_pj or 0.0, report.found.energy_pj or 0.0
    steps = _steps(report)
    unit, unit_pj = energy_unit(max(start, end))
    with canvas(width_in=8.0, height_in=1.4 + ROW_IN * (len(steps) + 2)) as figure:
        axes = figure.add_subplot()
        axes.set_xlim(0, 1.15 * max(start, end) / unit_pj)
        _whole(axes, 0, start / unit_pj, GREY)
        left = start
        for row, step in enumerate(steps, start=1):
            _bar(axes, row, left / unit_pj, (left - step.saved_pj) / unit_pj, step)
            left -= step.saved_pj
        _whole(axes, len(steps) + 1, end / unit_pj, BLUE)
        first = "as it is" if known else "as it is: cannot be run"
        names = [first, *(step.name for step in steps), "the plan"]
        axes.set_yticks(range(len(names)), names, fontsize=7.5)
        axes.set_ylim(len(names) - 0.4, -0.6)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x")
        axes.set_xlabel(f"energy of one batch ({unit})")
        axes.set_ylabel("layer")
        axes.set_title(f"Energy of {report.network} on {report.machine}")
    return figure


def _steps(report: CodesignReport) -> list[Step]:
    """The layers that change most, and all others as one."""
    steps = [
        Step(each.name, (each.baseline_energy_pj or 0.0) - each.energy_pj, _note(each))
        for each in report.layers
    ]
    steps = [step for step in steps if step.saved_pj]
    ranked = sorted(steps, key=lambda step: -abs(step.saved_pj))
    shown = sorted(ranked[:MOST_STEPS], key=lambda step: -step.saved_pj)
    rest = ranked[MOST_STEPS:]
    if not rest:
        return shown
    return [*shown, Step(f"{len(rest)} others", fsum(step.saved_pj for step in rest))]


def _note(layer: LayerChoice) -> str:
    return f"{layer.choice}; {layer.paid}" if layer.choice else ""


def _whole(axes: Axes, row: int, energy: float, colour: str) -> None:
    axes.barh(row, energy, 0.7, color=colour)
    axes.text(energy, row, f" {digits(energy)}", va="center", fontsize=7.5)


def _bar(axes: Axes, row: int, before: float, after: float, step: Step) -> None:
    colour = BLUE if step.saved_pj >= 0 else VERMILLION
    axes.barh(row, after - before, 0.7, left=before, color=colour, alpha=0.55)
    right = max(before, after) > ROOM * axes.get_xlim()[1]
    place, side = (min(before, after), "right") if right else (max(before, after), "left")
    axes.text(place, row, f" {step.note} ", va="center", ha=side, fontsize=6.5)
