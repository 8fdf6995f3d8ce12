"""The integer program's answer equals that of going through all choices."""

from collections.abc import Iterator
from itertools import product
from math import inf
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compressors.codesign._evolution import Evolution
from compressors.codesign._goal import GAP, Goal
from compressors.codesign._program import Choice, Problem, Solver, State

QUANTITIES = ("energy", "latency", "drop")
quick = settings(max_examples=15, deadline=None)


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    """Up to four items in a row. Each reads at a width and hands on what the next two need at most;
    the first two share a rate. Costs are whole numbers."""
    count = draw(st.integers(2, 4))
    names = [f"layer {number}" for number in range(count)]
    items = {name: draw(_states(names, name)) for name in names}
    maxima = {
        f"{name} hands on": tuple(f"{later} reads" for later in names[place + 1 : place + 3])
        for place, name in enumerate(names[:-1])
    }
    return Problem(items, maxima)


@st.composite
def _states(draw: st.DrawFn, names: list[str], name: str) -> list[State]:
    found = []
    for label in range(draw(st.integers(1, 5))):
        width = draw(st.sampled_from([4, 8]))
        links: dict[str, int | str] = {f"{name} reads": width}
        if name in names[:2]:
            links["rate"] = draw(st.sampled_from(["", "half"]))
        handed = [4, 8] if name != names[-1] else [0]
        for hands_on in handed:
            costs = {quantity: float(draw(st.integers(0, 9))) for quantity in QUANTITIES}
            own = links if name == names[-1] else links | {f"{name} hands on": hands_on}
            found.append(State(costs, own, label))
    return found


def choices(problem: Problem) -> Iterator[Choice]:
    """Every choice whose links agree."""
    for states in product(*problem.items.values()):
        choice = dict(zip(problem.items, states, strict=True))
        if problem.agrees(choice):
            yield choice


def least(problem: Problem, objective: dict[str, float], budgets: dict[str, float]) -> float:
    """The least objective of all choices within budgets."""
    return min(
        (
            sum(weight * problem.total(choice, name) for name, weight in objective.items())
            for choice in choices(problem)
            if all(problem.total(choice, name) <= most for name, most in budgets.items())
        ),
        default=inf,
    )


@quick
@given(problems(), st.integers(0, 20), st.integers(0, 20))
def test_optimum_is_that_of_all_choices(problem: Problem, drop: int, latency: int) -> None:
    """Budgets at halves, so that no rounding decides."""
    budgets = {"drop": drop + 0.5, "latency": latency + 0.5}
    objective = {"energy": 1.0, "drop": 0.25}
    found = Solver()(problem, objective, budgets=budgets)
    wanted = least(problem, objective, budgets)
    if found is None:
        assert wanted == inf
        return
    assert problem.agrees(found)
    assert all(problem.total(found, name) <= most for name, most in budgets.items())
    value = problem.total(found, "energy") + 0.25 * problem.total(found, "drop")
    assert value == pytest.approx(wanted)


@quick
@given(problems())
def test_what_is_banned_is_the_runner_up(problem: Problem) -> None:
    first = Solver()(problem, {"energy": 1.0})
    if first is None:
        return
    ban = {"layer 0": first["layer 0"].label}
    second = Solver()(problem, {"energy": 1.0}, banned=[ban])
    others = [
        problem.total(choice, "energy")
        for choice in choices(problem)
        if choice["layer 0"].label != ban["layer 0"]
    ]
    assert (second is None) == (not others)
    if second:
        assert problem.total(second, "energy") == pytest.approx(min(others))


@quick
@given(problems(), st.integers(0, 20))
def test_least_product_of_energy_and_latency(problem: Problem, drop: int) -> None:
    goal, budgets = Goal(problem, "edp"), {"drop": drop + 0.5}
    found = goal.best(budgets)
    within = [c for c in choices(problem) if problem.total(c, "drop") <= budgets["drop"]]
    assert (found is None) == (not within)
    if found:
        assert goal.value(found) <= min(map(goal.value, within)) / (1 - GAP) + 1e-9


def test_no_energy_is_the_least_product() -> None:
    states = [State({"energy": e, "latency": t}, {}, e) for e, t in ((3.0, 1.0), (0.0, 9.0))]
    goal = Goal(Problem({"layer": states}), "edp")
    found = goal.best({})
    assert found is not None
    assert goal.value(found) == 0.0


@quick
@given(problems(), st.integers(0, 20))
def test_least_drop_comes_before_energy(problem: Problem, latency: int) -> None:
    goal, budgets = Goal(problem, "accuracy"), {"latency": latency + 0.5}
    found = goal.best(budgets)
    within = [c for c in choices(problem) if problem.total(c, "latency") <= budgets["latency"]]
    assert (found is None) == (not within)
    if found:
        key = [(problem.total(c, "drop"), problem.total(c, "energy")) for c in within]
        assert (problem.total(found, "drop"), problem.total(found, "energy")) == pytest.approx(
            min(key)
        )


@settings(max_examples=8, deadline=None)
@given(problems())
def test_front_holds_no_choice_that_another_beats(problem: Problem) -> None:
    front = Goal(problem, "energy").front({})
    totals = [(problem.total(c, "drop"), problem.total(c, "energy")) for c in front]
    assert totals == sorted(totals)
    assert [energy for _, energy in totals] == sorted({e for _, e in totals}, reverse=True)
    for choice in choices(problem):
        drop, energy = problem.total(choice, "drop"), problem.total(choice, "energy")
        assert not any(drop <= d and energy < e for d, e in totals)


@settings(max_examples=5, deadline=None)
@given(problems(), st.integers(5, 20))
def test_evolution_does_not_beat_the_optimum(problem: Problem, drop: int) -> None:
    goal, budgets = Goal(problem, "energy"), {"drop": drop + 0.5}
    optimum = goal.best(budgets)
    evolution = Evolution(goal, budgets)
    best = evolution.run()
    if optimum is None:
        assert best is None
        return
    if best is not None:
        assert best >= goal.value(optimum) - 1e-9


def test_evolution_finds_the_optimum_of_a_small_problem() -> None:
    """So that not beating the optimum means something."""
    states = [State({"energy": 9.0 - n, "drop": float(n)}, {}, n) for n in range(9)]
    problem = Problem({name: states for name in "abcd"})
    goal, budgets = Goal(problem, "energy"), {"drop": 12.5}
    optimum = goal.best(budgets)
    assert optimum is not None
    assert Evolution(goal, budgets).run() == goal.value(optimum) == 24.0


def test_program_that_is_stopped_says_what_it_may_miss() -> None:
    """What saves energy costs as much of the budgets, so that bounds are near but not tight."""
    draw, sizes = Random(0), ("latency", "drop", "size")
    problem = Problem({f"layer {number}": _balanced(draw, sizes) for number in range(10)})
    budgets = dict.fromkeys(sizes, 49_500.0)
    short, long = Solver(most_nodes=1), Solver()
    hasty, best = (each(problem, {"energy": 1.0}, budgets=budgets) for each in (short, long))
    assert hasty is not None
    assert best is not None
    assert not long.gaps
    (gap,) = short.gaps
    assert 0 < gap < 1
    least, first = problem.total(best, "energy"), problem.total(hasty, "energy")
    assert first * (1 - gap) <= least <= first
    assert all(problem.total(hasty, name) <= most for name, most in budgets.items())


def _balanced(draw: Random, sizes: tuple[str, ...]) -> list[State]:
    taken = [{name: float(draw.randint(1000, 10_000)) for name in sizes} for _ in range(4)]
    return [
        State({"energy": 20_000 - sum(each.values()) / len(sizes), **each}, {}, label)
        for label, each in enumerate(taken)
    ]
