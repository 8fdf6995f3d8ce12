"""Validation rows: what they sum up to, and what every subject, its page and its plots promise."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from io import StringIO
from itertools import pairwise
from math import isfinite
from pathlib import Path
from random import Random
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.text import Text
from rich.console import Console

from hwsim import gallery, registry, validation_page, validation_table
from hwsim.errors import UnknownNameError
from hwsim.validate import Fitted, Row, Subject, Target, compare, mean_error, rows

DOCS = Path(__file__).parents[1] / "docs"
SUBJECTS = registry.names("validation")
every_subject = pytest.mark.parametrize("name", SUBJECTS)


@cache
def compared(name: str) -> Subject:
    (found,) = compare([name])
    return found


def row(
    error: float = 0.0,
    *,
    published: float = 100.0,
    layer: str = "CONV1",
    quantity: str = "total_ms",
    network: str = "alexnet",
    machine: str = "chip",
    fitted: bool = False,
    verified: bool = True,
) -> Row:
    """A made-up row that errs by `error`."""
    return Row(
        machine=machine,
        network=network,
        layer=layer,
        quantity=quantity,
        published=published,
        simulated=published * (1 + error),
        source="made up",
        fitted=fitted,
        verified=verified,
    )


FACTOR = Fitted(constant="factor", value="2.5", fitted_on="powers", checked_on="latencies")


def subject(*found: Row, targets: tuple[Target, ...] = ()) -> Subject:
    return Subject(name="made_up", text="Made up.", rows=found, targets=targets, fitted=(FACTOR,))


errors = st.floats(-0.9, 5, allow_nan=False)
some_rows = st.lists(st.builds(row, errors, fitted=st.booleans()), min_size=1, max_size=8)


class TestRow:
    def test_error_is_relative(self) -> None:
        assert row(-0.25).error == -0.25
        assert replace(row(), published=0.0, simulated=3.0).error == 3.0

    def test_record_is_plain_values(self) -> None:
        record = row(0.5, fitted=True).record()
        assert json.loads(json.dumps(record)) == record
        assert (record["published"], record["simulated"], record["error"]) == (100, 150, 0.5)
        assert record["fitted"] is True


class TestSummary:
    def test_predictions_are_not_flattered_by_fits(self) -> None:
        (found,) = subject(row(0.1), row(-0.3), row(0.0, fitted=True)).summaries
        assert found.mean_error == pytest.approx(0.2)
        assert found.worst == row(-0.3)
        assert (len(found.predicted), len(found.fitted), len(found.unverified)) == (2, 1, 0)

    def test_fits_alone_are_summed_up_as_such(self) -> None:
        (found,) = subject(row(0.1, fitted=True)).summaries
        assert found.mean_error == pytest.approx(0.1)

    @given(some_rows, errors)
    def test_the_unverified_count_nowhere(self, found: list[Row], error: float) -> None:
        more = [*found, row(error, verified=False)]
        target = Target(quantity="total_ms", mean=0.1, each=0.5, exceptions=1)
        assert target.met(more) == target.met(found)
        before, after = (subject(*all_rows).summaries[0] for all_rows in (found, more))
        assert (before.mean_error, before.worst) == (after.mean_error, after.worst)

    def test_machines_of_the_subjects_name_are_a_family(self) -> None:
        family, other = row(machine="made_up_a"), row(machine="other")
        assert list(subject(family, row(machine="made_up_b")).machines) == ["made_up"]
        assert list(subject(family).machines) == ["made_up_a"]
        assert list(subject(family, other).machines) == ["made_up_a", "other"]


class TestTarget:
    ROWS = (row(0.0), row(0.04), row(-0.3), row(0.9, network="vgg16"), row(1, quantity="x_ms"))

    @pytest.mark.parametrize(
        ("target", "met"),
        [
            (Target(quantity="total_ms", network="alexnet", each=0.3), True),
            (Target(quantity="total_ms", network="alexnet", each=0.29), False),
            (Target(quantity="total_ms", network="alexnet", each=0.29, exceptions=1), True),
            (Target(quantity="total_ms", network="alexnet", mean=0.12), True),
            (Target(quantity="total_ms", network="alexnet", mean=0.11), False),
            (Target(quantity="total_ms", each=0.3), False),
            (Target(quantity="total_ms", each=0.0, exceptions=3), True),
            (Target(quantity="total_ms", machine="other", each=9.0), False),
        ],
    )
    def test_met(self, target: Target, *, met: bool) -> None:
        assert target.met(self.ROWS) is met

    def test_in_words(self) -> None:
        target = Target(quantity="total_ms", mean=0.05, each=0.3, exceptions=1)
        found = validation_page.target_cells(target, subject(*self.ROWS))
        assert found[0:2] == ["made_up", "all"]
        assert found[3] == "mean within 5 %, each within 30 %, 1 exception"
        assert found[4] == "mean 31.0 %, 3 of 4, worst +90.0 %"
        assert found[5] == "no"
        assert validation_page.aim(Target(quantity="x", each=0.0)) == "equal"


def test_fitted_constants_are_declared() -> None:
    line = "| made_up | factor | 2.5 | powers | latencies |"
    assert line in validation_page.page([subject(row())])


@every_subject
def test_what_is_marked_fitted_is_declared(name: str) -> None:
    """Some constant stands behind fitted rows."""
    if any(found.fitted for found in compared(name).rows):
        assert compared(name).fitted


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (18450432.0, "18,450,432"),
        (20.9412, "20.94"),
        (0.05, "0.05"),
        (0.012345, "0.01235"),
        (-3.14159, "-3.142"),
        (1234.5678, "1,235"),
        (0.1 + 0.2, "0.3"),
        (3.0000000000000004, "3"),
        (0.0, "0"),
    ],
)
def test_digits(value: float, shown: str) -> None:
    assert validation_page.digits(value) == shown


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (0.0, "0"),
        (1e-15, "0"),
        (1e-6, "0.00"),
        (-1e-6, "0.00"),
        (0.0004, "+0.04"),
        (-0.0931, "-9.31"),
        (0.12345, "+12.3"),
        (5.7, "+570"),
    ],
)
def test_percent(error: float, shown: str) -> None:
    assert validation_page.percent(error) == shown


@given(st.floats(1e-6, 1e12), st.floats(-1e-14, 1e-14))
def test_numbers_are_shown_to_four_digits(value: float, noise: float) -> None:
    for found in (value, value * (1 + noise)):
        shown = float(validation_page.digits(found).replace(",", ""))
        assert shown == pytest.approx(value, rel=6e-4)


class TestEverySubject:
    @every_subject
    def test_rows_are_complete(self, name: str) -> None:
        found = compared(name).rows
        assert found
        for one in found:
            assert all((one.machine, one.network, one.layer, one.quantity, one.source)), one
            assert isfinite(one.published), one
            assert isfinite(one.simulated), one
            assert re.fullmatch(r"[a-z][a-z0-9_]*", one.machine), one
            assert re.fullmatch(r"[a-z][a-z0-9_]*", one.quantity), one
            assert "\n" not in one.layer, one

    @every_subject
    def test_no_row_is_given_twice(self, name: str) -> None:
        keys = [
            (one.machine, one.network, one.layer, one.quantity, one.source)
            for one in compared(name).rows
        ]
        assert len(keys) == len(set(keys))

    @every_subject
    def test_text_says_what_is_modelled(self, name: str) -> None:
        text = compared(name).text
        assert len(text.splitlines()[0]) <= 100
        assert len(text.split()) >= 40

    @every_subject
    def test_targets_speak_of_rows(self, name: str) -> None:
        found = compared(name)
        for target in found.targets:
            assert target.rows(found.rows), target
            assert (target.mean, target.each) != (None, None), target

    @every_subject
    def test_same_rows_each_time(self, name: str) -> None:
        if len(compared(name).rows) < 50:
            assert tuple(rows([name])) == compared(name).rows

    def test_a_machine_is_of_one_subject(self) -> None:
        found = [machine for name in SUBJECTS for machine in compared(name).machines]
        assert len(found) == len(set(found))


def test_unknown_subjects_are_named_before_any_runs() -> None:
    heard: list[str] = []
    with pytest.raises(UnknownNameError, match="unknown subject 'energie'"):
        compare(["dram", "energie"], progress=lambda stage, *_: heard.append(stage))
    assert not heard


class TestPage:
    def test_the_page_shown_is_what_the_command_writes(self) -> None:
        """`hwsim validate --out docs` writes it anew."""
        found = validation_page.page(compared(name) for name in SUBJECTS)
        assert (DOCS / "validation.md").read_text(encoding="utf-8") == found

    def test_its_plots_and_records_lie_beside_it(self) -> None:
        text = (DOCS / "validation.md").read_text(encoding="utf-8")
        named = set(re.findall(r"\]\(([\w./-]+)\)", text))
        assert named
        assert all((DOCS / path).is_file() for path in named)
        folders = gallery.plots(validation_page.HOOK)
        drawn = {f"{plot}/{path.name}" for plot in folders for path in (DOCS / plot).iterdir()}
        assert drawn == {path for path in named if path.endswith(".svg")}

    def test_a_long_table_is_folded_below_its_worst_rows(self) -> None:
        long = subject(*(row(place / 1000, layer=f"L{place}") for place in range(60)))
        text = validation_page.page([long])
        assert "<details><summary>All 60 rows</summary>" in text
        assert text.index("| L59 |") < text.index("<details>") < text.index("| L0 |")

    def test_the_longest_are_left_to_the_records(self) -> None:
        long = subject(*(row(place / 1000, layer=f"L{place}") for place in range(1000)))
        text = validation_page.page([long])
        assert "All 1,000 rows are in [validation.json](validation.json)." in text
        assert "| L0 |" not in text

    def test_cells_cannot_break_the_table(self) -> None:
        text = validation_page.page([subject(row(layer="a|b"))])
        assert "a\\|b" in text
        lines = [line.replace("\\|", "") for line in text.splitlines() if line.startswith("| chip")]
        assert {line.count("|") for line in lines} == {len(validation_page.ROW_HEADS) + 1}

    def test_records_are_the_rows(self) -> None:
        found = [row(0.1), row(0.2, verified=False)]
        assert json.loads(validation_page.to_json(found)) == [one.record() for one in found]


@pytest.mark.parametrize("width", [20, 80, 200])
def test_the_terminal_cuts_no_number(width: int) -> None:
    found = [row(0.012345, published=1234567.0, layer=f"a layer of many words {n}") for n in (1, 2)]
    target = Target(quantity="total_ms", each=0.01)
    console = Console(file=StringIO(), width=width)
    validation_table.show([subject(*found, targets=(target,))], console)
    text = cast(StringIO, console.file).getvalue()
    for part in ("1,234,567", "1,249,808", "total_ms", "+1.23", "chip, alexnet", "no"):
        assert part in text
    assert "…" not in text


Draw = Callable[..., Figure]
EXAMPLES = {
    "two networks": [
        row(error, layer=layer, network=network, quantity=quantity, published=published)
        for network, count in (("alexnet", 5), ("vgg16", 13))
        for layer, error in [(f"CONV{n}", n / 40 - 0.1) for n in range(count)]
        for quantity, published in (("glb_bytes", 3e6), ("total_ms", 21.0))
    ],
    "one row": [row()],
    "far apart": [row(0.1, published=10.0**n, layer=f"L{n}") for n in range(8)],
    "nothing published": [replace(row(), published=0.0, simulated=0.0)],
    "long names": [row(layer=f"a layer of many, many words {n}") for n in range(20)],
    "a cloud": [row(0.1, published=1.0 + n, layer=f"L{n}") for n in range(100)],
    "a family": [
        row(Random(n).uniform(-0.1, 0.1), machine=f"m{n % 7}", quantity=f"q{n % 5}_energy_per_op")
        for n in range(200)
    ],
    "every kind": [row(0.1), row(0.2, fitted=True), row(0.3, verified=False, layer="CONV3")],
}
every_plot = pytest.mark.parametrize("plot", gallery.plots("draw_validation"))
every_example = pytest.mark.parametrize("key", EXAMPLES)


@cache
def figure_of(plot: str, key: str) -> Figure:
    draw = cast(Draw, registry.hook(registry.module("plot", plot), "draw_validation"))
    found = draw(EXAMPLES[key], title="chip")
    found.draw_without_rendering()
    return found


def overlap(texts: list[Text]) -> bool:
    boxes = [text.get_window_extent() for text in texts if text.get_text()]
    return any(first.overlaps(second) for first, second in pairwise(boxes))


class TestPlots:
    @every_plot
    @every_example
    def test_each_quantity_has_its_panel(self, plot: str, key: str) -> None:
        panels = figure_of(plot, key).axes
        quantities = {one.quantity for one in EXAMPLES[key]}
        titles = [axes.get_title(loc="left").splitlines()[0].split(":")[0] for axes in panels]
        assert sorted(titles) == sorted(quantities)
        for axes in panels:
            unit = {"glb_bytes": "bytes", "total_ms": "ms"}
            quantity = axes.get_title(loc="left").splitlines()[0].split(":")[0]
            assert unit.get(quantity, "energy/op") in axes.get_ylabel()

    @every_plot
    @every_example
    def test_nothing_overlaps_nor_leaves_the_figure(self, plot: str, key: str) -> None:
        figure = figure_of(plot, key)
        for axes in figure.axes:
            assert not overlap(axes.get_xticklabels())
            assert not overlap(axes.get_yticklabels())
            assert not overlap(list(axes.texts))
            whole = axes.get_tightbbox()
            assert whole
            assert figure.bbox.x0 <= whole.x0 < whole.x1 <= figure.bbox.x1
            assert figure.bbox.y0 <= whole.y0 < whole.y1 <= figure.bbox.y1
        (legend,) = figure.legends
        box = legend.get_window_extent()
        assert not any(box.overlaps(axes.get_window_extent()) for axes in figure.axes)

    @every_plot
    def test_the_legend_tells_the_kinds(self, plot: str) -> None:
        (legend,) = figure_of(plot, "every kind").legends
        said = [text.get_text() for text in legend.get_texts()]
        assert len(said) == 4
        (legend,) = figure_of(plot, "one row").legends
        assert len(legend.get_texts()) == 2

    @every_plot
    def test_same_bytes_whatever_the_users_style(self, plot: str) -> None:
        draw = cast(Draw, registry.hook(registry.module("plot", plot), "draw_validation"))
        first = gallery.image(draw(EXAMPLES["every kind"], title="chip"), "svg")
        with rc_context({"font.size": 20, "axes.grid": True}):
            assert gallery.image(draw(EXAMPLES["every kind"], title="chip"), "svg") == first

    def test_the_layers_show_both_numbers(self) -> None:
        (axes,) = figure_of("validation", "every kind").axes
        shown = {
            float(cast(list[float], line.get_ydata())[0])
            for line in axes.lines
            if line.get_marker() in ("_", "o", "D", "X")
        }
        assert shown == {100.0, *(one.simulated for one in EXAMPLES["every kind"])}
        assert [text.get_text() for text in axes.texts] == ["+10.0", "+20.0", "+30.0"]


def test_means_are_of_magnitudes() -> None:
    assert mean_error([row(0.1), row(-0.1)]) == pytest.approx(0.1)
    assert mean_error([]) == 0
