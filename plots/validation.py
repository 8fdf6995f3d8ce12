"""Published numbers beside simulated ones: a panel for each quantity of a machine.

A few layers stand side by side, each with its error; many become points about the line on which
both numbers are equal.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from textwrap import fill

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, Formatter, FuncFormatter, NullFormatter

from hwsim.validate import Row, Summary, grouped
from hwsim.validation_page import magnitude, percent
from plots._style import BLUE, GREY, VERMILLION, canvas

MOST_LAYERS, NARROW_LAYERS = 36, 8
LOG_RANGE, LARGE = 50, 1e4
# Inches: a layer's column, letters of names and headings, a line of names, panels, what is around.
LAYER_IN, LETTER_IN, TITLE_LETTER_IN, HEADING_LETTER_IN, LINE_IN = 0.36, 0.065, 0.085, 0.105, 0.15
PANEL_IN, CLOUD_IN, NARROW_IN, WIDE_IN, FRAME_IN = 1.6, 2.8, 2.9, 5.0, 0.9
NAME_LETTERS = 20
KINDS = {"predicted": ("o", BLUE), "fitted": ("D", VERMILLION), "unverified": ("X", GREY)}
UNITS = {"us": "µs", "pj": "pJ", "nj": "nJ", "uj": "µJ", "mj": "mJ", "mw": "mW", "pes": "PEs"}
UNITS |= {"kib": "KiB", "kb": "kB", "mb": "MB", "percent": "%", "mhz": "MHz"}
UNITS |= {"ns": "ns", "ms": "ms", "s": "s", "bytes": "bytes", "bits": "bits", "cycles": "cycles"}
UNITS |= {"reads": "reads", "writes": "writes", "accesses": "accesses", "rounds": "rounds"}
UNITS |= {"macs": "MACs", "energy": "energy", "mm2": "mm²", "um2": "µm²"}


@dataclass(frozen=True, kw_only=True)
class Panel:
    """The rows of a quantity, and the names below them: none below a cloud, blanks above a twin."""

    rows: list[Row]
    names: list[str]
    width_in: float
    cloud: bool

    @property
    def upright(self) -> bool:
        """Whether names side by side would touch."""
        widest = max((len(line) for name in self.names for line in name.split("\n")), default=0)
        return widest * LETTER_IN > 0.9 * self.width_in / len(self.rows)

    @property
    def height_in(self) -> float:
        """With room for its names and those of its networks."""
        if self.cloud:
            return CLOUD_IN
        lines = [name.split("\n") for name in self.names]
        names = max(LETTER_IN * len(line) for name in lines for line in name)
        if not self.upright:
            names = LINE_IN * max(map(len, lines))
        return PANEL_IN + names + LINE_IN * (len({row.network for row in self.rows}) > 1)


def draw_validation(rows: Sequence[Row], *, title: str) -> Figure:
    """The rows of a machine, or a family; in each panel a quantity, networks from left to right."""
    columns, panels = _panels(rows)
    lines = [panels[start : start + columns] for start in range(0, len(panels), columns)]
    lines_in = [max(panel.height_in for panel in line) for line in lines]
    width_in, height_in = 1 + columns * panels[0].width_in, FRAME_IN + sum(lines_in)
    with canvas(width_in=width_in, height_in=height_in) as figure:
        grid = figure.add_gridspec(len(lines), columns, height_ratios=lines_in)
        for place, panel in enumerate(panels):
            axes = figure.add_subplot(grid[divmod(place, columns)])
            axes.set_title(_head(panel), fontsize=9)
            (_cloud if panel.cloud else _columns)(axes, panel)
        heading = fill(_heading(rows, title), int(width_in / HEADING_LETTER_IN))
        figure.suptitle(heading, x=0.01, ha="left", fontsize=11, fontweight="bold")
        figure.legend(handles=_keys(rows), loc="outside lower center", ncols=4)
    return figure


def _panels(rows: Sequence[Row]) -> tuple[int, list[Panel]]:
    """How many stand in a line, and all of them."""
    ordered = [row for found in grouped(rows, lambda row: row.network).values() for row in found]
    quantities = list(grouped(ordered, lambda row: row.quantity).values())
    columns, width_in, most = _layout(quantities)
    names = [_names(found) if len(found) <= most else [] for found in quantities]
    if columns == 1:
        names = [[""] * len(up) if up == low else up for up, low in pairwise([*names, []])]
    return columns, [
        Panel(rows=found, names=below, width_in=width_in, cloud=len(found) > most)
        for found, below in zip(quantities, names, strict=True)
    ]


def _layout(quantities: list[list[Row]]) -> tuple[int, float, int]:
    """Panels in a line, the width of one in inches, and above how many layers one is a cloud."""
    if len({row.machine for found in quantities for row in found}) > 1:
        return min(3, len(quantities)), NARROW_IN, NARROW_LAYERS
    most = max((len(found) for found in quantities if len(found) <= MOST_LAYERS), default=0)
    if most <= NARROW_LAYERS and len(quantities) > 1:
        return 2, NARROW_IN, MOST_LAYERS
    return 1, max(WIDE_IN, LAYER_IN * most), MOST_LAYERS


def _names(rows: list[Row]) -> list[str]:
    """The layers' names, long ones on several lines; the machines' where these alone differ."""
    alike = len(rows) > 1 and len({row.layer for row in rows}) == 1
    return [fill(row.machine if alike else row.layer, NAME_LETTERS) for row in rows]


def _kind(row: Row) -> str:
    if not row.verified:
        return "unverified"
    return "fitted" if row.fitted else "predicted"


def _heading(rows: Sequence[Row], title: str) -> str:
    networks = {row.network for row in rows}
    only = f", {rows[0].network}" if len(networks) == 1 else ""
    return f"{title}{only}: published and simulated, errors in %"


def _unit(quantity: str) -> str:
    """The unit a quantity's name ends in, as pJ/bit of dram_pj_per_bit; else it is a ratio."""
    before, per, after = quantity.partition("_per_")
    unit = UNITS.get(before.split("_")[-1], "ratio")
    return f"{unit}/{after.split('_')[0]}" if per else unit


def _columns(axes: Axes, panel: Panel) -> None:
    """Each layer's two numbers one above the other, and the error in percent."""
    for place, row in enumerate(panel.rows):
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
    _scale(axes, panel, "y")
    rotation = 90 if panel.upright else 0
    axes.set_xticks(range(len(panel.rows)), panel.names, rotation=rotation, fontsize=7.5)
    axes.set_xlim(-0.6, len(panel.rows) - 0.4)
    axes.tick_params(axis="x", length=0)
    axes.grid(axis="y")
    axes.set_ylabel(_unit(panel.rows[0].quantity))
    _networks(axes, panel)


def _cloud(axes: Axes, panel: Panel) -> None:
    """Simulated over published numbers, about the line of equality."""
    for kind, (marker, colour) in KINDS.items():
        found = [row for row in panel.rows if _kind(row) == kind]
        x, y = [row.published for row in found], [row.simulated for row in found]
        axes.plot(x, y, marker=marker, color=colour, linestyle="", markersize=4, alpha=0.6)
    for axis in ("x", "y"):
        _scale(axes, panel, axis)
    axes.axline((1, 1), (2, 2), color="black", linewidth=0.8, zorder=1)
    axes.grid()
    axes.set_xlabel(f"published ({_unit(panel.rows[0].quantity)})")
    axes.set_ylabel(f"simulated ({_unit(panel.rows[0].quantity)})")


def _head(panel: Panel) -> str:
    """The quantity, and the mean error as the page gives it, networks taken together."""
    whole = Summary(machine="", network="", quantity="", rows=tuple(panel.rows))
    if whole.worst is None:
        return panel.rows[0].quantity
    error = f"mean |error| {magnitude(whole.mean_error)} %"
    line = f"{panel.rows[0].quantity}: {error}"
    fits = len(line) * TITLE_LETTER_IN < 0.9 * panel.width_in
    return line if fits else f"{panel.rows[0].quantity}\n{error}"


def _scale(axes: Axes, panel: Panel, axis: str) -> None:
    """From zero, or logarithmic where the numbers lie far apart; room for labels at the top."""
    numbers = [number for row in panel.rows for number in (row.published, row.simulated)]
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
    names = [row.network for row in panel.rows]
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
