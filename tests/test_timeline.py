"""The timeline of a trace: nothing lost in the drawing, legible, the same to the byte."""

from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle, StepPatch

from hwsim.engine import Execution, run
from hwsim.hardware import load_machine
from hwsim.mapping import Mapping
from hwsim.simulate import best_mapping
from hwsim.trace import Trace
from hwsim.workload import Layer
from plots._style import image
from plots.timeline import BAR, draw_trace
from tests.eyeriss import EYERISS, chip_task
from tests.machines import MATMUL, SQUARE, STATIONARY

NOTHING = Trace(machine="idle", clock_mhz=1.0, lanes=("PEs",), spans=())
NAMES = ("AlexNet CONV2", "systolic", "small", "two layers")


def _systolic() -> Execution:
    where = load_machine("systolic_ws")
    layer = Layer(name="conv", K=64, C=64, P=14, Q=15, R=3, S=3, pad_h=1, pad_w=1)
    layer = layer.at_bits(ifmap=8, weight=8, ofmap=8, psum=32)
    return run([(layer, best_mapping(layer, where)[0])], where)


def _alexnet(*names: str) -> list[tuple[Layer, Mapping]]:
    return [chip_task(name) for name in names]


@cache
def execution(name: str) -> Execution:
    match name:
        case "AlexNet CONV2":
            return run(_alexnet("CONV2"), EYERISS)
        case "two layers":
            return run(_alexnet("CONV4", "CONV5"), EYERISS)
        case "systolic":
            return _systolic()
    return run([(MATMUL, STATIONARY)], SQUARE)


@cache
def drawn(name: str) -> Figure:
    figure = draw_trace(execution(name).trace)
    figure.draw_without_rendering()
    return figure


@pytest.mark.parametrize("name", NAMES)
def test_axes_have_units_and_titles(name: str) -> None:
    figure = drawn(name)
    for axes in figure.axes:
        assert axes.get_xlabel() in ("time (µs)", "time (ms)", "time (s)")
        assert axes.get_ylabel()
        assert axes.get_title(loc="left")
    (legend,) = figure.legends
    assert "compute" in [text.get_text() for text in legend.get_texts()]


@pytest.mark.parametrize("name", NAMES)
def test_areas_are_the_time_in_use_folded_passes_included(name: str) -> None:
    found = execution(name)
    whole = drawn(name).axes[0]
    rows = [label.get_text() for label in whole.get_yticklabels()]
    last = whole.get_xlim()[1]
    areas = dict.fromkeys(rows, 0.0)
    for patch in whole.patches:
        assert isinstance(patch, StepPatch)
        top, edges, bottom = patch.get_data()
        row = rows[round(float(np.mean(bottom)))]
        areas[row] += float(np.sum((bottom - top) * np.diff(edges))) / BAR / last
    stood = {f"stall: {cause}": cycles for cause, cycles in found.stall_cycles.items()}
    for row, area in areas.items():
        cycles = (found.busy_cycles | stood)[row]
        assert area == pytest.approx(cycles / found.cycles, rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_labels_neither_overlap_nor_leave_the_figure(name: str) -> None:
    figure = drawn(name)
    for axes in figure.axes:
        for labels in (axes.get_xticklabels(), axes.get_yticklabels()):
            boxes = [label.get_window_extent() for label in labels if label.get_text()]
            assert not any(first.overlaps(second) for first, second in pairwise(boxes))
            assert all(box.x0 >= figure.bbox.x0 for box in boxes)


def test_the_first_passes_are_shown_even_where_they_were_folded() -> None:
    zoom = drawn("AlexNet CONV2").axes[1]
    rows = [label.get_text() for label in zoom.get_yticklabels()]
    rectangles = [patch for patch in zoom.patches if isinstance(patch, Rectangle)]
    bars = [bar for bar in rectangles if round(bar.get_center()[1]) == rows.index("PEs")]
    assert len(bars) >= 5


def test_a_trace_of_nothing_is_drawn_empty() -> None:
    assert len(draw_trace(NOTHING).axes) == 2


def test_same_trace_same_bytes_whatever_the_users_style() -> None:
    trace = execution("small").trace
    first = image(draw_trace(trace), "svg")
    with rc_context({"font.size": 20, "axes.grid": True}):
        assert image(draw_trace(trace), "svg") == first
