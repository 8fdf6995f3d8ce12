"""What is the best choice: of least energy, latency, product of both, or loss of accuracy."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from compressors.codesign._budget import Objective
from compressors.codesign._program import TOLERANCE, Ban, Choice, Problem, Solver

GAP = 0.01  # the share by which a product may miss the least
POINTS = 12  # of a front
Budgets = Mapping[str, float]


@dataclass(frozen=True)
class Goal:
    """An objective on a problem; `solve` notes what it could not finish."""

    problem: Problem
    objective: Objective
    solve: Solver = field(default_factory=Solver, compare=False)

    def value(self, choice: Choice) -> float:
        """What the objective makes of a choice."""
        if self.objective == "edp":
            return self.problem.total(choice, "energy") * self.problem.total(choice, "latency")
        return self.problem.total(choice, QUANTITY[self.objective])

    def best(self, budgets: Budgets, *, banned: Iterable[Ban] = ()) -> Choice | None:
        """The best choice of all that hold the budgets, None where none does.

        Of a product of energy and latency, one within `GAP` of the best.
        """
        if self.objective == "accuracy":
            return self.least_drop(budgets, banned=banned)
        if self.objective == "edp":
            return self._least_product(_finite(budgets), tuple(banned))
        return self.solve(
            self.problem, {self.objective: 1.0}, budgets=_finite(budgets), banned=banned
        )

    def least_drop(self, budgets: Budgets, *, banned: Iterable[Ban] = ()) -> Choice | None:
        """The most accurate choice, and of several that are, the one of least energy."""
        bounded, refused = _finite(budgets), tuple(banned)
        first = self.solve(self.problem, {"drop": 1.0}, budgets=bounded, banned=refused)
        if first is None:
            return None
        least = self.problem.total(first, "drop") * (1 + TOLERANCE)
        held = bounded | {"drop": least}
        return self.solve(self.problem, {"energy": 1.0}, budgets=held, banned=refused) or first

    def _least_product(self, budgets: dict[str, float], banned: tuple[Ban, ...]) -> Choice | None:
        """Sweeps latency down: whatever beats the best so far, of those no slower than some cap,
        and so of no less energy than the least there, must be faster than the quotient of both."""
        ask = partial(self.solve, self.problem, banned=banned)
        best = ask({"latency": 1.0}, budgets=budgets)
        cap = budgets.get("latency", float("inf"))
        while best is not None and self.value(best) > 0:
            found = ask({"energy": 1.0}, budgets=_finite(budgets | {"latency": cap}))
            if found is None:
                break
            best = min(best, found, key=self.value)
            energy = self.problem.total(found, "energy")
            if not energy:  # nothing is less than no energy at all
                break
            cap = self.value(best) / energy * (1 - GAP)
        return best

    def front(self, budgets: Budgets, *, most_drop: float = float("inf")) -> list[Choice]:
        """Choices of growing loss of accuracy and falling objective, none beaten in both.

        Other budgets hold, and no more than `most_drop` is lost, unless all lose more. Where
        accuracy is the objective, the other side is energy.
        """
        goal = replace(self, objective="energy") if self.objective == "accuracy" else self
        others = {name: most for name, most in budgets.items() if name != "drop"}
        last = goal.best(others | {"drop": most_drop}) or goal.best(others)
        if last is None:
            return []
        most = self.problem.total(last, "drop")
        shares = [(step / POINTS) ** 2 for step in range(POINTS)]
        found = [goal.best(others | {"drop": share * most}) for share in shares]
        return goal.undominated([choice for choice in (*found, last) if choice])

    def undominated(self, choices: Iterable[Choice]) -> list[Choice]:
        """Those that no other matches or beats in accuracy and objective, most accurate first."""
        kept: list[Choice] = []

        def key(choice: Choice) -> tuple[float, float]:
            return self.problem.total(choice, "drop"), self.value(choice)

        for choice in sorted(choices, key=key):
            if not kept or self.value(choice) < self.value(kept[-1]):
                kept.append(choice)
        return kept


QUANTITY = {"energy": "energy", "latency": "latency", "accuracy": "drop"}


def _finite(budgets: Budgets) -> dict[str, float]:
    return {name: most for name, most in budgets.items() if most < float("inf")}
