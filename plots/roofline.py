"""Roofline: each weighted layer's speed against its DRAM reuse, below the machines' roofs.

Williams, Waterman and Patterson, "Roofline: an insightful visual performance model for multicore
architectures", CACM 52(4), 2009, with MACs in place of floating-point operations.
"""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from hwsim.report import Report
from hwsim.roofline import KINDS, dram, peak, point, ridge, roof
from hwsim.side import Side
from plots._style import BLUE, GREY, VERMILLION, canvas, setting

MARKERS = dict(zip(KINDS, "o^sD", strict=True))


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


def _moves(axes: Axes, report: Report) -> None:
    for before, after in report.pairs:
        ends = (point(before, report.baseline), point(after, report.compressed))
        x = [end.intensity for end in ends if end]
        axes.plot(x, [end.speed for end in ends if end], color="#BBBBBB", linewidth=0.6, zorder=1)


def _points(axes: Axes, side: Side, colour: str, *, filled: bool) -> None:
    for row in side.layers:
        found = point(row, side)
        if found:
            axes.plot(
                found.intensity,
                found.speed,
                marker=MARKERS[found.kind],
                color=colour,
                fillstyle="full" if filled else "none",
                markersize=5,
                alpha=0.85,
                zorder=3,
            )


def _roofs(axes: Axes, report: Report) -> None:
    """Each machine's roof across the points' range, widened so that its ridge can be seen."""
    low, high = axes.get_xlim()
    knees = [ridge(side) for _, side in report.sides]
    low = min([low / 1.25, *(knee / 3 for knee in knees if knee)])
    high = max([high * 1.25, *(knee * 3 for knee in knees if knee)])
    # The baseline's dashes lie on top, so that two equal roofs are both seen.
    for side, colour, dash in (
        (report.compressed, VERMILLION, "-"),
        (report.baseline, BLUE, (0, (4, 4))),
    ):
        knee = ridge(side)
        x = [low, knee, high] if knee else [low, high]
        y = [roof(side, intensity) for intensity in x]
        axes.plot(x, y, color=colour, linestyle=dash, linewidth=1.4, zorder=2)
    axes.set_xlim(low, high)


def _keys(report: Report) -> list[Line2D]:
    points = [point(row, side) for _, side in report.sides for row in side.layers]
    kinds = {found.kind for found in points if found}
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
    bandwidth = dram(side)
    memory = f", {bandwidth:.3g} GB/s" if bandwidth else ""
    return f"{setting(side)}: {peak(side):.3g} GMAC/s{memory}"
