"""Roofline: each weighted layer's speed against its DRAM reuse, below the machines' roofs.

Williams, Waterman and Patterson, "Roofline: an insightful visual performance model for multicore
architectures", CACM 52(4), 2009, with MACs in place of floating-point operations.
"""

from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from hwsim.report import LayerRow, Report, Side
from plots._style import BLUE, GREY, VERMILLION, canvas, setting

MARKERS = {"convolution": "o", "depthwise or grouped": "^", "1x1 convolution": "s", "linear": "D"}


@dataclass(frozen=True, kw_only=True)
class Point:
    """A layer in the plot: `intensity` in MACs a DRAM byte, `speed` in GMAC/s."""

    kind: str
    intensity: float
    speed: float


def draw(report: Report) -> Figure:
    """Both sides' layers on logarithmic axes; a grey line joins the two states of a layer."""
    with canvas(width_in=7.0, height_in=5.0) as figure:
        axes = figure.add_subplot(xscale="log", yscale="log")
        _moves(axes, report)
        _points(axes, report.baseline, BLUE, filled=False)
        _points(axes, report.compressed, VERMILLION, filled=True)
        _roofs(axes, report)
        axes.grid()
        axes.set_xlabel("operational intensity (MACs per DRAM byte)")
        axes.set_ylabel("speed (GMAC/s)")
        axes.set_title(f"Roofline of {report.baseline.network}")
        figure.legend(handles=_keys(report), loc="outside lower center", ncols=3)
    return figure


def _point(row: LayerRow | None, side: Side) -> Point | None:
    if row is None or not (row.macs and row.cycles and row.dram_bits):
        return None
    return Point(
        kind=_kind(row),
        intensity=row.macs / (row.dram_bits / 8),
        speed=row.macs / row.cycles * side.clock_mhz / 1e3,
    )


def _kind(row: LayerRow) -> str:
    if row.op != "conv":
        return "linear"
    if row.bounds.get("G", 1) > 1:
        return "depthwise or grouped"
    window = row.bounds.get("R", 1) * row.bounds.get("S", 1)
    return "convolution" if window > 1 else "1x1 convolution"


def _moves(axes: Axes, report: Report) -> None:
    for before, after in report.pairs:
        ends = (_point(before, report.baseline), _point(after, report.compressed))
        x = [end.intensity for end in ends if end]
        axes.plot(x, [end.speed for end in ends if end], color="#BBBBBB", linewidth=0.6, zorder=1)


def _points(axes: Axes, side: Side, colour: str, *, filled: bool) -> None:
    for row in side.layers:
        point = _point(row, side)
        if point:
            axes.plot(
                point.intensity,
                point.speed,
                marker=MARKERS[point.kind],
                color=colour,
                fillstyle="full" if filled else "none",
                markersize=5,
                alpha=0.85,
                zorder=3,
            )


def _roofs(axes: Axes, report: Report) -> None:
    """Each machine's roof across the points' range, widened so that its ridge can be seen."""
    low, high = axes.get_xlim()
    ridges = [_ridge(side) for _, side in report.sides]
    low = min([low / 1.25, *(ridge / 3 for ridge in ridges if ridge)])
    high = max([high * 1.25, *(ridge * 3 for ridge in ridges if ridge)])
    # The baseline's dashes lie on top, so that two equal roofs are both seen.
    for side, colour, dash in (
        (report.compressed, VERMILLION, "-"),
        (report.baseline, BLUE, (0, (4, 4))),
    ):
        ridge = _ridge(side)
        x = [low, ridge, high] if ridge else [low, high]
        y = [_roof(side, intensity) for intensity in x]
        axes.plot(x, y, color=colour, linestyle=dash, linewidth=1.4, zorder=2)
    axes.set_xlim(low, high)


def _peak(side: Side) -> float:
    """GMAC/s with every PE busy."""
    return side.peak_macs_per_cycle * side.clock_mhz / 1e3


def _dram(side: Side) -> float | None:
    """GB/s, None where nothing bounds the DRAM."""
    bits = side.dram_bits_per_cycle
    return None if bits is None else bits / 8 * side.clock_mhz / 1e3


def _ridge(side: Side) -> float | None:
    """The intensity at which the DRAM feeds every PE."""
    bandwidth = _dram(side)
    return _peak(side) / bandwidth if bandwidth else None


def _roof(side: Side, intensity: float) -> float:
    bandwidth = _dram(side)
    return min(_peak(side), bandwidth * intensity) if bandwidth else _peak(side)


def _keys(report: Report) -> list[Line2D]:
    points = [_point(row, side) for _, side in report.sides for row in side.layers]
    kinds = {point.kind for point in points if point}
    roofs = [
        Line2D([], [], color=BLUE, ls="--", marker="o", mfc="none", label=_key(report.baseline)),
        Line2D([], [], color=VERMILLION, marker="o", label=_key(report.compressed)),
    ]
    shapes = [
        Line2D([], [], color=GREY, marker=marker, linestyle="", label=kind)
        for kind, marker in MARKERS.items()
        if kind in kinds
    ]
    return [*roofs, *shapes]


def _key(side: Side) -> str:
    bandwidth = _dram(side)
    memory = f", {bandwidth:.3g} GB/s" if bandwidth else ""
    return f"{setting(side)}: {_peak(side):.3g} GMAC/s{memory}"
