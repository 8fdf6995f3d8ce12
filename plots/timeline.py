"""A trace as a timeline: how busy each port, bus and the PEs are, and what the PEs wait for.

Above, the whole run: the share of each moment's time that a row is in use. Below, the first passes
span by span. Passes that the engine folded are drawn as busy as the period that they repeat.
"""

from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from hwsim.ports import PES
from hwsim.trace import FOLDED, STALL, Span, Trace
from plots._style import BLUE, VERMILLION, canvas

COLOURS = {
    "ifmap": BLUE,
    "weight": "#E69F00",
    "ofmap": "#009E73",
    "compute": "#332288",
    STALL: VERMILLION,
}
NAMES = {"ofmap": "ofmap or psum", STALL: "PEs stand"}
UNITS_US = {"s": 1e6, "ms": 1e3, "µs": 1.0}
BINS = 600
FIRST_PASSES = 5
LEAST_STALL = 0.005
BAR, ROW_IN = 0.8, 0.21


class _Use(NamedTuple):
    """A row in use from `start` to `end` for a share of the time."""

    start: float
    end: float
    share: float


Uses = dict[tuple[str, str], list[_Use]]


def draw_trace(trace: Trace) -> Figure:
    """The whole run above, the first passes below.

    Rows are what is used of ports, buses and PEs, then the causes of all but the shortest stalls.
    """
    uses, end = _uses(trace), max((span.end for span in trace.spans), default=1.0)
    rows = _rows(trace, uses, end)
    first = _first_passes(trace)
    with canvas(width_in=7.5, height_in=1.9 + 2 * ROW_IN * max(len(rows), 3)) as figure:
        whole, zoom = figure.subplots(2)
        _shares(whole, rows, uses, _frame(whole, trace, rows, 0.0, end))
        _spans(zoom, rows, first, _frame(zoom, trace, rows, *_window(first, end)))
        layers = list(dict.fromkeys(span.layer for span in trace.spans))
        subject = layers[0] if len(layers) == 1 else f"{len(layers)} layers"
        whole.set_title(f"{subject} on {trace.machine}: share of time in use")
        zoom.set_title("The first passes")
        figure.legend(handles=_keys(uses), loc="outside lower center", ncols=len(COLOURS))
    return figure


def _row(span: Span) -> str:
    return f"{STALL}: {span.label}" if span.lane == STALL else span.lane


def _colour(span: Span) -> str:
    return span.tensor or (STALL if span.lane == STALL else "compute")


def _rows(trace: Trace, uses: Uses, end: float) -> list[str]:
    """Lanes in the machine's order, then causes of stalls, the longest first."""
    stood = {
        row: sum(use.share * (use.end - use.start) for use in found)
        for (row, colour), found in uses.items()
        if colour == STALL
    }
    used = {row for row, _ in uses}
    causes = sorted(stood, key=lambda row: -stood[row])
    lanes = [lane for lane in trace.lanes if lane in used]
    return [*lanes, *(row for row in causes if stood[row] >= LEAST_STALL * end)]


def _frame(
    axes: Axes, trace: Trace, rows: list[str], start: float, end: float
) -> NDArray[np.float64]:
    """Rows from top to bottom; returns the window's ends and a unit, in cycles.

    Time is in the largest unit of which the window's end holds one.
    """
    last_us = end / trace.clock_mhz
    unit, unit_us = next((u for u in UNITS_US.items() if u[1] <= last_us), ("µs", 1.0))
    cycles = unit_us * trace.clock_mhz
    axes.set_yticks(range(len(rows)), rows, fontsize=7.5)
    for label in axes.get_yticklabels():
        if label.get_text().startswith(STALL):
            label.set_color(VERMILLION)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(start / cycles, end / cycles)
    axes.set_xlabel(f"time ({unit})")
    axes.set_ylabel("in use, and causes of stalls")
    axes.grid(axis="x")
    return np.array([start, end, cycles])


def _shares(axes: Axes, rows: list[str], uses: Uses, frame: NDArray[np.float64]) -> None:
    """Each row's share of time in use, stacked by what it is used for."""
    edges = np.linspace(frame[0], frame[1], BINS + 1)
    base = {row: np.zeros(BINS) for row in rows}
    for (row, colour), found in uses.items():
        if row in rows:
            floor, low = rows.index(row) + BAR / 2, base[row]
            base[row] = high = low + np.diff(_used_until(found, edges)) / np.diff(edges)
            axes.stairs(
                floor - BAR * high,
                edges / frame[2],
                baseline=floor - BAR * low,
                fill=True,
                color=COLOURS[colour],
            )


def _spans(axes: Axes, rows: list[str], spans: list[Span], frame: NDArray[np.float64]) -> None:
    """Every span of the window as a bar."""
    start, end, cycles = frame
    for span in spans:
        if _row(span) in rows and span.start < end and span.end > start:
            low, high = max(span.start, start) / cycles, min(span.end, end) / cycles
            place = rows.index(_row(span))
            axes.barh(place, high - low, BAR, left=low, color=COLOURS[_colour(span)])


def _first_passes(trace: Trace) -> list[Span]:
    """The spans up to more than the first passes, folded ones unfolded."""
    found: list[Span] = []
    for span in trace.spans:
        if sum(each.lane == PES for each in found) > FIRST_PASSES:
            break
        if span.lane != FOLDED:
            found.append(span)
            continue
        period = (span.end - span.start) / span.repeats
        again = [each for each in found if each.start >= span.start - period]
        for times in range(1, min(span.repeats, FIRST_PASSES) + 1):
            late = times * period
            found += [each._replace(start=each.start + late, end=each.end + late) for each in again]
    return found


def _window(spans: list[Span], end: float) -> tuple[float, float]:
    """From a little before the first passes' arithmetic until a little after."""
    passes = [span for span in spans if span.lane == PES][:FIRST_PASSES]
    if not passes:
        return 0.0, end
    length = passes[-1].end - passes[0].start
    return max(0.0, passes[0].start - length / 4), min(end, passes[-1].end + length / 20)


def _uses(trace: Trace) -> Uses:
    """By row and colour, when and how much; folded passes as the mean of what they repeat."""
    found: Uses = {}
    for span in sorted(trace.spans, key=lambda span: (span.end, span.lane == FOLDED)):
        if span.lane != FOLDED:
            use = _Use(span.start, span.end, 1.0)
            found.setdefault((_row(span), _colour(span)), []).append(use)
            continue
        period = np.array([span.start - (span.end - span.start) / span.repeats, span.start])
        for uses in found.values():
            share = float(np.diff(_used_until(uses, period))[0] / np.diff(period)[0])
            uses.append(_Use(span.start, span.end, share))
    return found


def _used_until(uses: list[_Use], times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cycles in use up to each of some ascending times."""
    start, end, share = np.array(uses).T
    points = np.concatenate((start, end))
    order = np.argsort(points, kind="stable")
    slope = np.cumsum(np.concatenate((share, -share))[order])
    total = np.concatenate(([0.0], np.cumsum(slope[:-1] * np.diff(points[order]))))
    return np.interp(times, points[order], total)


def _keys(uses: Uses) -> list[Patch]:
    shown = {colour for _, colour in uses}
    return [
        Patch(color=colour, label=NAMES.get(name, name))
        for name, colour in COLOURS.items()
        if name in shown
    ]
