"""What is the best choice: of least energy, latency, product of both, or loss of accuracy."""

from collections.abc import Mapping
from dataclasses import dataclass

from compressors.codesign._budget import Objective
from compressors.codesign._program import TOLERANCE, Choice, Problem, solve


@dataclass(frozen=True)
class Goal:
    """An objective on a problem."""

    problem: Problem
    objective: Objective

    def best(self, budgets: Mapping[str, float]) -> Choice | None:
        """The best choice of all that hold the budgets, None where none does."""
        if self.objective == "accuracy":
            return self.least_drop(budgets)
        return solve(self.problem, {self.objective: 1.0}, budgets=_finite(budgets))

    def least_drop(self, budgets: Mapping[str, float]) -> Choice | None:
        """The most accurate choice, and of several that are, the one of least energy."""
        bounded = _finite(budgets)
        first = solve(self.problem, {"drop": 1.0}, budgets=bounded)
        if first is None:
            return None
        least = self.problem.total(first, "drop") * (1 + TOLERANCE)
        return solve(self.problem, {"energy": 1.0}, budgets=bounded | {"drop": least}) or first


def _finite(budgets: Mapping[str, float]) -> dict[str, float]:
    return {name: most for name, most in budgets.items() if most < float("inf")}
