"""Energy against cycles of mappings of one layer: sampled ones, those found, and the lower bound.

On logarithmic axes a bound on energy is a level line, one on cycles an upright one, and one on
their product falls by a power of ten for each of cycles. No mapping lies in the shade below it.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hwsim.map_space import Point, Space, front
from hwsim.objective import POWERS
from plots._style import BLUE, GREY, VERMILLION, canvas, energy_unit

MARGIN = 1.7  # a factor around the points
NAMES = {"energy": "energy", "cycles": "cycles", "edp": "energy x cycles"}
NAMES |= {"ed2p": "energy x cycles²"}


def draw_space(space: Space) -> Figure:
    """Samples in grey and their Pareto front in blue; what was found as stars."""
    shown = [*space.samples, *space.found]
    unit, unit_pj = energy_unit(min(point.energy_pj for point in shown))
    with canvas(width_in=6.4, height_in=4.8) as figure:
        axes = figure.add_subplot(xscale="log", yscale="log")
        axes.set_xlim(_range(point.cycles for point in shown))
        axes.set_ylim(_range(point.energy_pj / unit_pj for point in shown))
        _samples(axes, space.samples, unit_pj)
        _bound(axes, space, unit_pj)
        x, y = _coordinates(space.found, unit_pj)
        axes.plot(x, y, "*", color=VERMILLION, mec="white", markersize=14, label=space.label)
        axes.grid()
        axes.set_xlabel("cycles")
        axes.set_ylabel(f"energy ({unit})")
        axes.set_title(space.title)
        figure.legend(loc="outside lower center", ncols=2)
    return figure


def _range(values: Iterable[float]) -> tuple[float, float]:
    listed = list(values)
    return min(listed) / MARGIN, max(listed) * MARGIN


def _coordinates(points: Sequence[Point], unit_pj: float) -> tuple[list[int], list[float]]:
    return [point.cycles for point in points], [point.energy_pj / unit_pj for point in points]


def _samples(axes: Axes, samples: Sequence[Point], unit_pj: float) -> None:
    x, y = _coordinates(samples, unit_pj)
    label = f"{len(samples):,} random mappings"
    axes.plot(x, y, "o", color=GREY, markersize=3, alpha=0.4, mew=0, label=label)
    x, y = _coordinates(front(samples), unit_pj)
    axes.step(x, y, "o-", where="post", color=BLUE, lw=1, markersize=3.5, label="their front")


def _bound(axes: Axes, space: Space, unit_pj: float) -> None:
    """The line on which the objective is at its lower bound, and the shade below it."""
    most = space.max_cycles or axes.get_xlim()[1]
    if space.max_cycles:
        axes.axvline(most, color="black", lw=1, ls=":", label=f"{most:,} cycles, the most allowed")
    if space.lower_bound is None:
        return
    style: dict[str, Any] = {"color": VERMILLION, "lw": 1.2, "ls": "--"}
    label = f"lower bound of {NAMES[space.objective]}"
    of_energy, of_cycles = POWERS[space.objective]
    (left, right), floor = axes.get_xlim(), axes.get_ylim()[0]
    if not of_energy:
        axes.axvline(space.lower_bound, label=label, **style)
        axes.axvspan(left, space.lower_bound, color=VERMILLION, alpha=0.08, lw=0)
        return
    x = np.geomspace(left, min(right, most), 2)
    y = (space.lower_bound / x**of_cycles) ** (1 / of_energy) / unit_pj
    axes.plot(x, y, label=label, **style)
    axes.fill_between(x, floor, y, color=VERMILLION, alpha=0.08, lw=0)
