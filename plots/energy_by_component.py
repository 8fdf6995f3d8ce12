"""Energy of the whole network by component, before and after compression."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.typing import ColorType

from hwsim.report import Report
from hwsim.table import digits
from plots._style import COMPONENT_COLOURS, canvas, components, energy_unit, pale, setting

BAR = 0.38


def draw(report: Report) -> Figure:
    """A pair of bars per component, each with its energy; the gain below the component's name."""
    names = components(report) or ["DRAM"]
    largest = max(side.energy_by_component_pj[n] for _, side in report.sides for n in names)
    unit, unit_pj = energy_unit(largest)
    with canvas(width_in=max(4.8, 1.1 * len(names) + 0.8), height_in=3.8) as figure:
        axes = figure.add_subplot()
        for _, side in report.sides:
            before = side is report.baseline
            energies = [side.energy_by_component_pj[name] / unit_pj for name in names]
            colours = [COMPONENT_COLOURS[name] for name in names]
            _bars(axes, energies, [pale(c) for c in colours] if before else colours, before=before)
        axes.set_xticks(range(len(names)), [_tick(report, name) for name in names])
        axes.tick_params(axis="x", length=0)
        axes.margins(y=0.1)
        axes.grid(axis="y")
        axes.set_xlabel("component (and energy before / after)")
        axes.set_ylabel(f"energy of one batch ({unit})")
        axes.set_title(_title(report))
        figure.legend(handles=_keys(report), loc="outside lower center", ncols=2)
    return figure


def _bars(axes: Axes, energies: list[float], colours: Sequence[ColorType], *, before: bool) -> None:
    places = [place + (-BAR / 2 if before else BAR / 2) for place in range(len(energies))]
    bars = axes.bar(places, energies, BAR, color=colours)
    axes.bar_label(bars, [_label(energy) for energy in energies], fontsize=7.5, padding=1)


def _label(energy: float) -> str:
    return digits(energy) if energy >= 0.01 or not energy else "<0.01"


def _tick(report: Report, name: str) -> str:
    before, after = (side.energy_by_component_pj[name] for _, side in report.sides)
    return f"{name}\n{before / after:.2f}x" if before and after else name


def _title(report: Report) -> str:
    before, after = (side.energy_pj for _, side in report.sides)
    unit, unit_pj = energy_unit(max(before, after))
    return (
        f"Energy of {report.baseline.network} by component: "
        f"{digits(before / unit_pj)} to {digits(after / unit_pj)} {unit} in all"
    )


def _keys(report: Report) -> list[Patch]:
    return [
        Patch(color="#BBBBBB", label=f"left bar, pale: {setting(report.baseline)}"),
        Patch(color="#555555", label=f"right bar: {setting(report.compressed)}"),
    ]
