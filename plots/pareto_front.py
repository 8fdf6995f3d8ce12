"""The points of a space, two objectives at a time, and its Pareto front."""

from itertools import combinations
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from hwsim.explore.findings import Findings
from hwsim.explore.output import UNITS
from plots._style import BLUE, GREY, VERMILLION, canvas, plain_logarithms

PANEL_IN, HEIGHT_IN, MOST_PANELS = 3.9, 4.2, 3


def draw_exploration(found: Findings) -> Figure:
    """A panel for each pair of objectives: all points grey, those of the front in colour.

    Points of the front that none beats in the two objectives of a panel are joined by a line.
    """
    names = found.objectives if len(found.objectives) > 1 else (*found.objectives, "area_mm2")
    pairs = list(combinations(dict.fromkeys(names), 2))[:MOST_PANELS]
    with canvas(width_in=max(6.0, PANEL_IN * len(pairs)), height_in=HEIGHT_IN) as figure:
        panels = figure.subplots(1, len(pairs), squeeze=False)[0]
        for axes, pair in zip(panels, pairs, strict=True):
            _panel(axes, found, pair)
        panels[0].set_title(f"{found.space}: {found.points:,} points")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3)
    return figure


def _panel(axes: Axes, found: Findings, pair: tuple[str, str]) -> None:
    sample = [row for row in found.sample if all(name in row for name in pair)]
    for rows, style in ((sample, _POINT), (found.front, _BEST)):
        x, y = (np.array([row[name] for row in rows], float) / UNITS[name][0] for name in pair)
        axes.plot(x, y, **style)
    joined = sorted(_lower_left(x, y))
    axes.step(*zip(*joined, strict=True), where="post", color=BLUE, lw=1, label="best of the two")
    for name, axis in zip(pair, (axes.xaxis, axes.yaxis), strict=True):
        axis.set_label_text(UNITS[name][1])
    axes.set_xscale("log")
    axes.set_yscale("log")
    plain_logarithms(axes.xaxis, axes.yaxis)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_locator(LogLocator(subs=(2, 3, 4, 5, 6, 8)))  # 9000 would touch 10000
        axis.set_tick_params(which="major", labelsize=7)
    axes.grid()


def _lower_left(x: np.ndarray, y: np.ndarray) -> list[tuple[float, float]]:
    """Points that none lies to the left of and below."""
    kept: list[tuple[float, float]] = []
    for place in np.lexsort((y, x)):
        if not kept or y[place] < kept[-1][1]:
            kept.append((float(x[place]), float(y[place])))
    return kept


_DOTS: dict[str, Any] = {"ls": "", "marker": "o", "mew": 0}
_POINT = {**_DOTS, "ms": 2.5, "alpha": 0.35, "color": GREY, "label": "points"}
_BEST = {**_DOTS, "ms": 4, "color": VERMILLION, "label": "Pareto front"}
