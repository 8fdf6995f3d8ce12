"""The report's table, files and plots say what the record says, legibly."""

from collections.abc import Callable
from io import StringIO
from itertools import pairwise
from pathlib import Path
from typing import cast

import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from rich.console import Console

from hwsim import gallery, registry
from hwsim.codesign_report import (
    CodesignReport,
    Comparison,
    DroppedCandidate,
    Evolution,
    LayerChoice,
    Point,
    Totals,
    contents,
    read,
    to_csv,
    write,
)
from hwsim.codesign_table import show
from hwsim.errors import InputError

LAYERS = ("features.0.0", "features.0.1", "classifier")
NAMES = ("none", "w8a8", "filters 50% + w8a8")


def layer(number: int, *, runs: bool = True) -> LayerChoice:
    weighted = number != 1
    before, after = 9e6 / (number + 1), 3e6 / (number + 1)
    return LayerChoice(
        name=LAYERS[number],
        op="conv" if weighted else "pool",
        choice=NAMES[number % 3 or 1] if weighted else "",
        candidates=3,
        energy_pj=after,
        latency_ms=0.1,
        cycles=20_000,
        bound="DRAM",
        size_bits=8e3,
        components_pj={"DRAM": after},
        accuracy_drop=0.001,
        baseline_energy_pj=before if runs else None,
        baseline_latency_ms=0.2 if runs else None,
        baseline_cycles=40_000 if runs else None,
        baseline_bound="DRAM",
        baseline_components_pj={"DRAM": before},
        runner_up="none" if weighted else None,
        runner_up_excess=0.25 if weighted else None,
        paid="fewer weight bits from DRAM: 6 µJ" if weighted else "",
        gains=(),
    )


def point(step: int, met: bool | None = None) -> Point:
    measured = Totals(energy_pj=6e6 - 1e6 * step, latency_ms=0.3, size_bits=1e4, accuracy=0.9)
    return Point(
        choices={LAYERS[0]: NAMES[step % 3], LAYERS[2]: NAMES[-1]},
        predicted_drop=0.004 * step,
        predicted_energy_pj=6e6 - 1e6 * step,
        predicted_latency_ms=0.3 - 0.02 * step,
        predicted_size_bits=1e4,
        measured=None if met is None else measured,
        met=met,
    )


def example(objective: str = "energy", *, runs: bool = True) -> CodesignReport:
    layers = tuple(layer(number, runs=runs) for number in range(3))
    energy = sum(one.energy_pj for one in layers)
    before = sum(one.baseline_energy_pj or 0.0 for one in layers)
    return CodesignReport(
        network="net",
        machine="chip",
        objective=objective,
        sensitivity="hessian",
        bounds={"drop": 0.01},
        met=True,
        text="the plan holds its budget",
        baseline=Totals(
            energy_pj=before if runs else None,
            latency_ms=0.6 if runs else None,
            size_bits=4e4,
            accuracy=0.91,
        ),
        found=Totals(energy_pj=energy, latency_ms=0.3, size_bits=1e4, accuracy=0.9),
        predicted=point(1, met=True),
        layers=layers,
        front=tuple(point(step) for step in range(4)),
        attempts=(point(2, met=False), point(1, met=True)),
        candidates={name: () for name in NAMES},
        dropped=(DroppedCandidate(layer=LAYERS[0], candidate="none", reason="too wide"),),
        comparisons=(Comparison(sensitivity="hessian", correlation=0.87, trials=16),),
        evolution=Evolution(best=5.1e6, optimum=5e6, evaluations=1234),
    )


REPORTS = {
    "energy": example(),
    "latency": example("latency"),
    "cannot run": example(runs=False),
}
every_plot = pytest.mark.parametrize("name", gallery.plots("draw_codesign"))
every_report = pytest.mark.parametrize("key", REPORTS)


def figure_of(name: str, key: str) -> Figure:
    draw = cast(
        "Callable[[CodesignReport], Figure]",
        registry.hook(registry.module("plot", name), "draw_codesign"),
    )
    figure = draw(REPORTS[key])
    figure.draw_without_rendering()
    return figure


@every_plot
@every_report
def test_axes_have_units_and_names_stay_apart(name: str, key: str) -> None:
    figure = figure_of(name, key)
    (axes,) = figure.axes
    labels = axes.get_xlabel() + axes.get_ylabel()
    assert any(unit in labels for unit in ("(µJ)", "(nJ)", "(ms)"))
    assert "net" in axes.get_title(loc="left")
    for ticks in (axes.get_xticklabels(), axes.get_yticklabels()):
        boxes = [tick.get_window_extent() for tick in ticks if tick.get_text()]
        assert not any(first.overlaps(second) for first, second in pairwise(boxes))
    for text in axes.texts:
        box = text.get_window_extent()
        assert figure.bbox.x0 <= box.x0 <= box.x1 <= figure.bbox.x1


def test_the_three_plots_ship() -> None:
    assert gallery.plots("draw_codesign") == [
        "codesign_choices",
        "codesign_front",
        "codesign_waterfall",
    ]


def test_waterfall_goes_from_the_whole_to_the_plan() -> None:
    (axes,) = figure_of("codesign_waterfall", "energy").axes
    bars = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
    start, *steps, end = [bar.get_width() for bar in bars]
    assert start + sum(steps) == pytest.approx(end)
    assert end == pytest.approx((REPORTS["energy"].found.energy_pj or 0) / 1e6)


def test_heat_map_names_every_choice() -> None:
    (axes,) = figure_of("codesign_choices", "energy").axes
    shown = sorted(text.get_text() for text in axes.texts)
    plans = (REPORTS["energy"].predicted, *REPORTS["energy"].front)
    assert shown == sorted(name for plan in plans for name in plan.choices.values())


def test_table_says_what_paid() -> None:
    text = StringIO()
    show(REPORTS["energy"], Console(file=text, width=160))
    for part in ("runner-up", "none (+25 %)", "fewer weight bits from DRAM: 6 µJ", "-1.00 points"):
        assert part in text.getvalue()
    assert "hessian 0.87 over 16 trials" in text.getvalue()
    assert "within 2.00 % of the program's optimum in 1,234 evaluations" in text.getvalue()


@every_report
def test_no_number_is_cut_on_a_narrow_terminal(key: str) -> None:
    text = StringIO()
    show(REPORTS[key], Console(file=text, width=40))
    assert "…" not in text.getvalue()
    assert "20,000" in text.getvalue()


def test_written_and_read_back(tmp_path: Path) -> None:
    report = REPORTS["energy"]
    paths = write(report, tmp_path / "out", plots=[])
    assert read(paths[0]) == report
    assert len(to_csv(report).splitlines()) == 4
    assert contents(report, plots=["codesign_front"]) == contents(report, plots=["codesign_front"])


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "is not a report"),
        ("[]", "holds a list"),
        ('{"schema_version": 1, "network": 1}', "network = 1"),
    ],
)
def test_files_that_are_no_reports(tmp_path: Path, text: str, complaint: str) -> None:
    file = tmp_path / "codesign.json"
    file.write_text(text)
    with pytest.raises(InputError) as caught:
        read(file)
    assert str(file) in str(caught.value)
    assert complaint in str(caught.value)
