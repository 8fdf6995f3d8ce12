"""Published numbers beside simulated ones: a panel for each quantity of a machine.

A few layers stand side by side, each with its error; many become points about the line on which
both numbers are equal.
"""

from collections.abc import Sequence
from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, Formatter, FuncFormatter, NullFormatter

from hwsim.validate import Row, Summary, grouped
from hwsim.validation_page import magnitude, percent
from plots._style import BLUE, GREY, VERMILLION, canvas

MOST_LAYERS, NARROW_LAYERS = 36, 8
LOG_RANGE, LARGE = 50, 1e4
LAYER_IN, LETTER_IN, PANEL_IN, CLOUD_IN, FRAME_IN = 0.36, 0.065, 1.55, 2.9, 0.9
NARROW_IN = 2.9
KINDS = {"predicted": ("o", BLUE), "fitted": ("D", VERMILLION), "unverified": ("X", GREY)}
UNITS = {"ms": "ms", "us": "µs", "pj": "pJ", "mw": "mW", "pes": "PEs", "bytes": "bytes"}

Panel = list[Row]


def draw_validation(rows: Sequence[Row], *, title: str) -> Figure:
    """The rows of a machine, or a family; in each panel a quantity, networks from left to right."""
    ordered = [row for found in grouped(rows, lambda row: row.network).values() for row in found]
    panels = list(grouped(ordered, lambda row: row.quantity).values())
    most = max((len(panel) for panel in panels if not _many(panel)), default=0)
    columns = 2 if most <= NARROW_LAYERS and len(panels) > 1 else 1
    width_in = NARROW_IN if columns == 2 else max(5.0, LAYER_IN * most)
    lines = [panels[start : start + columns] for start in range(0, len(panels), columns)]
    heights = [max(_height_in(panel, width_in) for panel in line) for line in lines]
    with canvas(width_in=1 + columns * width_in, height_in=FRAME_IN + sum(heights)) as figure:
        grid = figure.add_gridspec(len(lines), columns, height_ratios=heights)
        for place, panel in enumerate(panels):
            axes = figure.add_subplot(grid[divmod(place, columns)])
            (_cloud if _many(panel) else _columns)(axes, panel)
            if not _many(panel):
                axes.set_xticks(*_ticks(panel), rotation=_rotation(panel, width_in), fontsize=7.5)
        figure.suptitle(_heading(rows, title), x=0.01, ha="left", fontsize=11, fontweight="bold")
        figure.legend(handles=_keys(rows), loc="outside lower center", ncols=4)
    return figure


def _many(panel: Panel) -> bool:
    return len(panel) > MOST_LAYERS


def _kind(row: Row) -> str:
    if not row.verified:
        return "unverified"
    return "fitted" if row.fitted else "predicted"


def _ticks(panel: Panel) -> tuple[range, list[str]]:
    return range(len(panel)), [row.layer for row in panel]


def _rotation(panel: Panel, width_in: float) -> int:
    """Upright where names side by side would touch."""
    widest = max(len(row.layer) for row in panel) * LETTER_IN
    return 90 if widest > 0.9 * width_in / len(panel) else 0


def _height_in(panel: Panel, width_in: float) -> float:
    if _many(panel):
        return CLOUD_IN
    longest = max(len(row.layer) for row in panel)
    names = longest * LETTER_IN if _rotation(panel, width_in) else 0.2
    return PANEL_IN + names + 0.2 * (len({row.network for row in panel}) > 1)


def _heading(rows: Sequence[Row], title: str) -> str:
    networks = {row.network for row in rows}
    only = f", {rows[0].network}" if len(networks) == 1 else ""
    return f"{title}{only}: published and simulated, errors in %"


def _unit(quantity: str) -> str:
    """The unit a quantity's name ends in: pJ/bit of dram_pj_per_bit."""
    before, per, after = quantity.partition("_per_")
    last = before.split("_")[-1]
    return UNITS.get(last, last) + (f"/{after}" if per else "")


def _columns(axes: Axes, panel: Panel) -> None:
    """Each layer's two numbers one above the other, and the error in percent."""
    for place, row in enumerate(panel):
        marker, colour = KINDS[_kind(row)]
        axes.plot([place] * 2, [row.published, row.simulated], color=colour, linewidth=1, zorder=2)
        axes.plot(place, row.published, marker="_", color="black", markersize=13, zorder=3)
        axes.plot(place, row.simulated, marker=marker, color=colour, markersize=4.5, zorder=4)
        axes.annotate(
            percent(row.error),
            (place, max(row.published, row.simulated)),
            xytext=(0, 5),
            textcoords="offset points",
            ha="center",
            fontsize=6.5,
        )
    _head(axes, panel)
    _scale(axes, panel, "y")
    axes.set_xlim(-0.6, len(panel) - 0.4)
    axes.tick_params(axis="x", length=0)
    axes.grid(axis="y")
    axes.set_ylabel(_unit(panel[0].quantity))
    _networks(axes, panel)


def _cloud(axes: Axes, panel: Panel) -> None:
    """Simulated over published numbers, about the line of equality."""
    for kind, (marker, colour) in KINDS.items():
        found = [row for row in panel if _kind(row) == kind]
        x, y = [row.published for row in found], [row.simulated for row in found]
        axes.plot(x, y, marker=marker, color=colour, linestyle="", markersize=4, alpha=0.6)
    _head(axes, panel)
    for axis in ("x", "y"):
        _scale(axes, panel, axis)
    axes.axline((1, 1), (2, 2), color="black", linewidth=0.8, zorder=1)
    axes.grid()
    axes.set_xlabel(f"published ({_unit(panel[0].quantity)})")
    axes.set_ylabel(f"simulated ({_unit(panel[0].quantity)})")


def _head(axes: Axes, panel: Panel) -> None:
    """The quantity, and the mean error as the page gives it, networks taken together."""
    whole = Summary(machine="", network="", quantity="", rows=tuple(panel))
    error = f": mean |error| {magnitude(whole.mean_error)} %" if whole.worst else ""
    axes.set_title(f"{panel[0].quantity}{error}", fontsize=9)


def _scale(axes: Axes, panel: Panel, axis: str) -> None:
    """From zero, or logarithmic where the numbers lie far apart; room for labels at the top."""
    numbers = [number for row in panel for number in (row.published, row.simulated)]
    low, high = min(numbers), max(numbers)
    if low > 0 and high / low > LOG_RANGE:
        limits, scale = (low / 2, high * (high / low) ** 0.2), "log"
    else:
        limits, scale = (min(low, 0), (high or 1) * 1.25), "linear"
    ticks = axes.xaxis if axis == "x" else axes.yaxis
    (axes.set_xscale if axis == "x" else axes.set_yscale)(scale)
    (axes.set_xlim if axis == "x" else axes.set_ylim)(*limits)
    ticks.set_major_formatter(_formatter(high))
    ticks.set_minor_formatter(NullFormatter())


def _formatter(largest: float) -> Formatter:
    if largest >= LARGE:
        return EngFormatter(sep="")
    return FuncFormatter(lambda value, _: f"{value:g}")


def _networks(axes: Axes, panel: Panel) -> None:
    """Where there are several networks: their names above their layers, and lines between them."""
    names = [row.network for row in panel]
    if len(set(names)) == 1:
        return
    starts = [0, *(i for i, (a, b) in enumerate(pairwise(names), 1) if a != b), len(names)]
    for start in starts[1:-1]:
        axes.axvline(start - 0.5, color=GREY, linewidth=0.8, linestyle=":")
    above = axes.secondary_xaxis("top")
    centres = [(start + end - 1) / 2 for start, end in pairwise(starts)]
    above.set_xticks(centres, [names[start] for start in starts[:-1]], fontsize=7.5)
    above.tick_params(length=0, pad=1)
    above.spines["top"].set_visible(False)


def _keys(rows: Sequence[Row]) -> list[Line2D]:
    kinds = {_kind(row) for row in rows}
    dash = Line2D([], [], color="black", marker="_", markersize=11, linestyle="", label="published")
    return [
        dash,
        *(
            Line2D([], [], color=colour, marker=marker, linestyle="", label=_label(kind))
            for kind, (marker, colour) in KINDS.items()
            if kind in kinds
        ),
    ]


def _label(kind: str) -> str:
    return "against an unverified number" if kind == "unverified" else f"simulated, {kind}"
