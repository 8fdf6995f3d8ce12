"""Fronts, effects and comparisons against plain recomputation, and the files made of them."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import product
from math import exp, log
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from hwsim.explore.findings import Findings, findings, to_json, undominated
from hwsim.explore.output import contents, shown
from hwsim.explore.run import Run, explore
from hwsim.explore.store import Store
from hwsim.page import runs
from tests import cheap_points
from tests.complaints import refused
from tests.test_explore_run import Crewed, Inline

AXES = {"axes.X": (2, 3, 5), "axes.Y": (7, 11)}
POINTS = {(x, y): (float(x * y), float(x + y)) for x, y in product(*AXES.values())}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    task = cheap_points.task(objectives=("energy_pj", "area_mm2"), compare="axes.Y")
    store = Store(tmp_path_factory.mktemp("store") / "points.sqlite")
    found = Run.of(task, store)
    explore(found, Crewed(Inline()), evaluate=cheap_points.measured)
    yield found
    store.close()


@pytest.fixture(scope="module")
def found(run: Run) -> Findings:
    return findings(run)


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(0, 6)), max_size=40))
def test_undominated_rows_are_those_of_all_pairs(rows: list[tuple[int, int, int]]) -> None:
    values = np.array(rows, float).reshape(-1, 3)

    def beaten(place: int) -> bool:
        here = values[place]
        return any(
            (other <= here).all() and ((other < here).any() or at < place)
            for at, other in enumerate(values)
            if at != place
        )

    assert undominated(values) == [place for place in range(len(rows)) if not beaten(place)]


def test_the_front_is_what_no_other_beats(found: Findings) -> None:
    best = [
        here
        for here, (energy, area) in POINTS.items()
        if not any(
            e <= energy and a <= area and (e, a) != (energy, area) for e, a in POINTS.values()
        )
    ]
    assert [(row["axes.X"], row["axes.Y"]) for row in found.front] == sorted(best)
    assert found.points == 6
    assert found.counts == {"ok": 6}


def test_effects_are_first_order_indices(found: Findings) -> None:
    logs = {here: log(energy) for here, (energy, _) in POINTS.items()}
    mean = sum(logs.values()) / 6
    total = sum((value - mean) ** 2 for value in logs.values()) / 6
    effects = {each.parameter: each for each in found.effects if each.measure == "energy_pj"}
    for place, (name, values) in enumerate(AXES.items()):
        means = [np.mean([y for here, y in logs.items() if here[place] == v]) for v in values]
        share = np.mean([(m - mean) ** 2 for m in means]) / total
        assert effects[name].share == pytest.approx(share)
        assert effects[name].factor == pytest.approx(exp(max(means) - min(means)))
        assert (effects[name].best, effects[name].worst) == (values[0], values[-1])
    # The logarithm of a product has no interactions.
    assert sum(each.share for each in effects.values()) == pytest.approx(1)


def test_values_are_compared(found: Findings) -> None:
    seven, eleven = found.compared
    assert (seven.value, seven.points, eleven.value) == (7, 3, 11)
    assert seven.best["energy_pj"] == 14
    assert seven.mean["energy_pj"] == pytest.approx((14 * 21 * 35) ** (1 / 3))
    assert eleven.best_point["axes.X"] == 2


def test_files_are_complete_and_the_same_each_time(found: Findings) -> None:
    files = contents(found)
    tables = {"findings.json", "front.json", "front.csv", "effects.csv", "compared.csv"}
    plots = {
        f"{name}.{suffix}"
        for name in ("pareto_front", "parameter_effects", "compared_values")
        for suffix in ("png", "svg")
    }
    assert set(files) == tables | plots
    assert contents(found) == files
    assert json.loads(files["findings.json"])["points"] == 6
    assert len(files["front.csv"].decode().splitlines()) == 1 + len(found.front)


def test_the_page_of_runs_shows_the_points(found: Findings, run: Run, tmp_path: Path) -> None:
    """Of a search that came to its end, and of its store alone."""
    (tmp_path / "front.json").write_bytes(contents(found)["front.json"])
    for place in (tmp_path, run.store.file):
        (read,) = runs.load([place])
        assert {
            (p.settings["axes.X"], p.settings["axes.Y"]): (p.energy_pj, p.area_mm2)
            for p in read.front
        } == POINTS
        assert {p.label for p in read.front} == {f"{x} {y}" for x, y in POINTS}
        assert read.said == "6 points of a search."


def test_a_store_of_several_spaces_is_none_of_them(tmp_path: Path) -> None:
    store = Store(tmp_path / "points.sqlite")
    for batch in (1, 2):
        run = Run.of(cheap_points.task(batch=batch), store)
        explore(run, Crewed(Inline()), evaluate=cheap_points.measured)
    store.close()
    refused(lambda: runs.load([tmp_path]), f"{store.file}: holds points of 2 spaces")


def test_it_is_said_why_points_are_missing(tmp_path: Path) -> None:
    limits = {"area_mm2": {"most": 10}}
    with closing(Store(tmp_path / "points.sqlite")) as store:
        run = Run.of(cheap_points.task(constraints=limits), store)
        explore(run, Crewed(Inline()), evaluate=cheap_points.constrained)
        store.keep([{"key": "x", "status": "infeasible", "reason": "no [room]"}], run.family)
        none = findings(run)
    assert [tuple(each) for each in none.reasons] == [
        ("excluded", "area_mm2", 4),
        ("infeasible", "no [room]", 1),
    ]
    console = Console(record=True, width=100)
    console.print(shown(none))
    said = console.export_text()
    assert "4 excluded by their area_mm2\n1 infeasible: no [room]" in "\n".join(
        line.rstrip() for line in said.splitlines()
    )
    assert json.loads(to_json(none))["reasons"][0]["points"] == 4


def test_the_table_is_plain(run: Run) -> None:
    with sqlite3.connect(run.store.file) as known:
        kinds = {row[0] for row in known.execute('SELECT typeof("axes.X") FROM points')}
        types = known.execute("SELECT typeof(energy_pj), typeof(area_mm2) FROM points").fetchall()
    assert kinds == {"integer"}
    assert set(types) == {("real", "real")}


def test_a_space_without_points_says_so(tmp_path: Path) -> None:
    store = Store(tmp_path / "points.sqlite")
    none = findings(Run.of(cheap_points.task(), store))
    store.close()
    assert (none.points, none.front, none.counts, none.reasons) == (0, (), {}, ())
    assert set(contents(none)) == {"findings.json"}
