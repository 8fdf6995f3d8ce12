"""Values of a parameter set against each other, such as dataflows on machines of one area."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hwsim.explore.findings import Findings
from hwsim.explore.output import UNITS, number
from plots._style import COMPONENT_COLOURS, canvas, plain_logarithms

COLOURS = list(COMPONENT_COLOURS.values())


def draw_comparison(found: Findings) -> Figure:
    """Left, all points in two objectives by value; right, how they spread in the first one."""
    x, y = (*found.objectives, "area_mm2")[:2]
    values = [each.value for each in found.compared]
    with canvas(width_in=9.6, height_in=4.4) as figure:
        scatter, spread = figure.subplots(1, 2)
        for place, value in enumerate(values):
            rows = [row for row in found.sample if row[str(found.compare)] == value]
            colour = COLOURS[place % len(COLOURS)]
            _scatter(scatter, found, (x, y), rows, str(value), colour)
            energies = np.sort([float(row[x] or 0) for row in rows]) / UNITS[x][0]
            spread.step(energies, 100 * np.arange(1, len(rows) + 1) / len(rows), color=colour)
            best = number(x, found.compared[place].best[x])
            spread.plot([], [], color=colour, label=f"{value}: best {best}")
        scatter.set(xscale="log", yscale="log", xlabel=UNITS[x][1], ylabel=UNITS[y][1])
        scatter.set_title(f"{found.space}: {found.points:,} points")
        spread.set(xscale="log", xlabel=UNITS[x][1], ylabel="% of points at most there")
        figure.legend(*spread.get_legend_handles_labels(), loc="outside lower center", ncols=4)
        plain_logarithms(scatter.xaxis, scatter.yaxis, spread.xaxis)
        scatter.grid()
        spread.grid()
    return figure


def _scatter(
    axes: Axes,
    found: Findings,
    pair: tuple[str, str],
    rows: list[dict[str, str | int | float | None]],
    label: str,
    colour: str,
) -> None:
    x, y = (np.array([row[name] for row in rows], float) / UNITS[name][0] for name in pair)
    axes.plot(x, y, ls="", marker="o", ms=3, mew=0, alpha=0.6, color=colour, label=label)
