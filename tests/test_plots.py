"""Every file in plots/ offers one hook, and draws whatever that takes, legibly, with units.

Each hook has its suite: plots of reports first, those of validation rows in test_validate.py.
"""

from collections.abc import Callable
from functools import cache
from itertools import pairwise
from typing import cast

import numpy as np
import pytest
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from matplotlib.text import Text

from hwsim import gallery, registry
from hwsim.report import Report, contents
from hwsim.workload import Layer, Op
from plots._style import COMPONENT_COLOURS, energy_unit, pale
from tests.example_report import EXAMPLES, example, layers

WEIGHTLESS = (Layer(name="pool", op=Op.POOL, C=4, P=3, Q=5),)
REPORTS = {key: example(found) for key, found in EXAMPLES.items()} | {
    "no weighted layer": example(WEIGHTLESS)
}
UNITS = ("(pJ)", "(nJ)", "(µJ)", "(mJ)", "(J)", "GMAC/s", "MACs per DRAM byte", "before / after")
Draw = Callable[[Report], Figure]
every_plot = pytest.mark.parametrize("name", gallery.plots("draw"))
every_report = pytest.mark.parametrize("key", REPORTS)


@cache
def _figure(name: str, key: str) -> Figure:
    draw = cast(Draw, registry.hook(registry.module("plot", name), "draw"))
    figure = draw(REPORTS[key])
    figure.draw_without_rendering()
    return figure


@pytest.mark.parametrize("name", registry.names("plot"))
def test_every_plot_offers_one_hook(name: str) -> None:
    found = [key for key in gallery.HOOKS if name in gallery.plots(key)]
    assert len(found) == 1, found
    registry.hook(registry.module("plot", name), found[0])


def test_every_hook_draws_something_shipped() -> None:
    assert {"energy_by_component", "energy_per_layer", "roofline"} <= set(gallery.plots("draw"))
    assert gallery.plots("draw_validation") == ["validation"]


@every_plot
@every_report
def test_axes_have_units_and_a_title(name: str, key: str) -> None:
    for axes in _figure(name, key).axes:
        labels = [axes.get_xlabel(), axes.get_ylabel()]
        assert all(labels)
        assert any(unit in label for label in labels for unit in UNITS), labels
        assert axes.get_title(loc="left") or axes.get_title()


@every_plot
@every_report
def test_legend_names_both_sides_and_covers_no_data(name: str, key: str) -> None:
    figure = _figure(name, key)
    (legend,) = figure.legends
    texts = " ".join(text.get_text() for text in legend.get_texts())
    assert "16-bit on example_16" in texts
    assert "int8 on example_8" in texts
    box = legend.get_window_extent()
    assert not any(box.overlaps(axes.get_window_extent()) for axes in figure.axes)


def _overlaps(labels: list[Text]) -> bool:
    shown = [label.get_window_extent() for label in labels if label.get_text()]
    return any(first.overlaps(second) for first, second in pairwise(shown))


def _labels(axes: Axes) -> list[list[Text]]:
    return [axes.get_xticklabels(), axes.get_yticklabels()]


@every_plot
@every_report
def test_labels_do_not_overlap_nor_leave_the_figure(name: str, key: str) -> None:
    figure = _figure(name, key)
    for axes in figure.axes:
        assert not any(_overlaps(labels) for labels in _labels(axes))
        assert not _overlaps(list(axes.texts))
        frame = figure.bbox
        for text in (axes.xaxis.label, axes.yaxis.label, *axes.get_yticklabels(), *axes.texts):
            box = text.get_window_extent()
            assert box.x0 >= frame.x0
            assert box.x1 <= frame.x1


def test_every_layer_is_named_and_fused_ones_are_counted() -> None:
    (axes,) = _figure("energy_per_layer", "29 layers").axes
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == [*(x.name for x in layers(13) if x.op is not Op.ACTIVATION), "13 fused layers"]


def test_bars_add_up_to_the_energy() -> None:
    found = REPORTS["29 layers"]
    for name in ("energy_per_layer", "energy_by_component"):
        (axes,) = _figure(name, "29 layers").axes
        drawn = sum(
            patch.get_width() if name == "energy_per_layer" else patch.get_height()
            for bars in axes.containers
            for patch in cast(BarContainer, bars).patches
        )
        total = sum(side.energy_pj for _, side in found.sides)
        assert drawn == pytest.approx(total / 1e6)


def test_no_point_lies_above_its_roof() -> None:
    (axes,) = _figure("roofline", "59 layers").axes
    points = [line for line in axes.lines if line.get_marker() != "None"]
    assert len(points) == 2 * sum(layer.weighted for layer in EXAMPLES["59 layers"])
    for point in points:
        ((intensity, speed),) = np.asarray(point.get_xydata()).tolist()
        assert speed <= min(168 * 0.2, 1.6 * intensity) * 1.001


def test_same_report_same_bytes_whatever_the_users_style() -> None:
    found = REPORTS["29 layers"]
    plots = gallery.plots("draw")
    first = contents(found, plots)
    with rc_context({"font.size": 20, "axes.grid": True, "savefig.dpi": 30}):
        assert contents(found, plots) == first
    names = {f"{name}.{kind}" for name in plots for kind in ("png", "svg")}
    assert first.keys() == names | {"report.json", "layers.csv"}
    assert all(first[name].startswith(b"\x89PNG") for name in names if name.endswith("png"))
    assert all(b"<svg" in first[name] for name in names if name.endswith("svg"))


def test_neighbouring_components_are_told_apart_without_hue() -> None:
    luminances = [_luminance(to_rgb(colour)) for colour in COMPONENT_COLOURS.values()]
    assert all(abs(a - b) > 0.04 for a, b in pairwise(luminances)), luminances
    assert all(
        _luminance(pale(colour)) > _luminance(to_rgb(colour)) + 0.1
        for name, colour in COMPONENT_COLOURS.items()
        if name != "leakage"
    )


def _luminance(rgb: tuple[float, float, float]) -> float:
    red, green, blue = rgb
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize(
    ("energy_pj", "unit"), [(0.0, "pJ"), (999.0, "pJ"), (1e3, "nJ"), (5e7, "µJ"), (1e14, "J")]
)
def test_energy_unit(energy_pj: float, unit: str) -> None:
    assert energy_unit(energy_pj)[0] == unit
