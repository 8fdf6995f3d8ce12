"""Plans are corrected by what they measure, where losses do not add up as predicted."""

from collections.abc import Callable, Mapping

import pytest

from compressors.codesign._budget import excess
from compressors.codesign._clock import Clock
from compressors.codesign._goal import Goal
from compressors.codesign._program import Choice, Problem, State
from compressors.codesign._repair import Repair

COSTS = [(9.0, 0.0), (7.0, 0.01), (5.0, 0.02), (4.0, 0.04), (2.0, 0.08)]
STATES = [
    State({"energy": energy, "drop": drop, "latency": energy, "size": 1.0}, {}, label)
    for label, (energy, drop) in enumerate(COSTS)
]
PROBLEM = Problem({name: STATES for name in "abc"})


def repaired(
    measured_drop: Callable[[Choice], float], bounds: Mapping[str, float], *, energy: float = 1.0
) -> Repair:
    """A repair where drops, and energies by a factor, are not what is predicted."""
    goal = Goal(PROBLEM, "energy")

    def measure(choice: Choice) -> dict[str, float]:
        found = {name: PROBLEM.total(choice, name) for name in ("energy", "latency", "size")}
        return found | {"drop": measured_drop(choice), "energy": energy * found["energy"]}

    repair = Repair(
        problem=PROBLEM,
        bounds=bounds,
        optimum=goal.best,
        value=goal.value,
        least_drop=goal.least_drop,
        measure=measure,
        scale={"energy": 1.0, "latency": 1.0, "size": 1.0, "drop": 1.0},
        rounds=12,
        clock=Clock(),
    )
    repair.run()
    return repair


def predicted(choice: Choice) -> float:
    return PROBLEM.total(choice, "drop")


@pytest.mark.parametrize("factor", [0.25, 0.5, 1.0, 2.0, 4.0])
def test_losses_that_are_all_larger_or_smaller(factor: float) -> None:
    """What is found is the best of the model with the true losses."""
    repair = repaired(lambda choice: factor * predicted(choice), {"drop": 0.0605})
    best = min(one.measured["energy"] for one in repair.attempts if one.met)
    true = Goal(PROBLEM, "energy").best({"drop": 0.0605 / factor})
    assert true is not None
    assert best == PROBLEM.total(true, "energy")
    labels = [tuple(state.label for state in one.choice.values()) for one in repair.attempts]
    assert len(set(labels)) == len(labels)


def test_one_pair_of_layers_that_do_not_go_together() -> None:
    """Only a plan that does without the pair holds the budget; it is found among the next best."""

    def drop(choice: Choice) -> float:
        pair = bool(choice["a"].label and choice["b"].label)
        return predicted(choice) + 0.5 * pair

    repair = repaired(drop, {"drop": 0.0605})
    best = min((one for one in repair.attempts if one.met), key=lambda one: one.measured["energy"])
    assert not (best.choice["a"].label and best.choice["b"].label)
    assert best.measured["energy"] <= 21.0


def test_energy_that_is_larger_than_predicted() -> None:
    repair = repaired(predicted, {"drop": 0.1205, "energy": 16.5}, energy=1.2)
    assert not repair.attempts[0].met or repair.attempts[0].measured["energy"] <= 16.5
    met = [one for one in repair.attempts if one.met]
    assert met
    assert all(1.2 * one.predicted["energy"] <= 16.5 for one in met)


def test_budgets_that_contradict_each_other_give_the_nearest() -> None:
    """No choice has a drop of 0.05 and an energy of 10: the least largest excess is found."""
    bounds = {"drop": 0.05, "energy": 10.0}
    repair = repaired(predicted, bounds)
    assert not any(attempt.met for attempt in repair.attempts)
    least = min(attempt.worst for attempt in repair.attempts)
    every = [
        max(
            excess(
                {
                    "drop": sum(s.costs["drop"] for s in states),
                    "energy": sum(s.costs["energy"] for s in states),
                },
                bounds,
            ).values(),
            default=0.0,
        )
        for states in ((a, b, c) for a in STATES for b in STATES for c in STATES)
    ]
    assert least == pytest.approx(min(every), rel=1e-4)
