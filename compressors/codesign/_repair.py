"""Choose, measure the whole, correct the model, and choose again.

Costs of single layers add up only nearly: errors of several layers may cancel or grow, and zeros in
maps change. What a plan measures against what was predicted of it scales what the next one may
cost by prediction: the allowance of accuracy is searched for between one whose plan held its budget
and one whose plan did not; other budgets shrink by as much as they were exceeded.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Protocol

from compressors.codesign._budget import QUANTITIES, Totals, excess
from compressors.codesign._clock import Clock
from compressors.codesign._program import Choice, Problem

Labels = Mapping[str, object]


class Optimum(Protocol):
    """The best choice under budgets that is none of those banned, None where there is none."""

    def __call__(
        self, budgets: Mapping[str, float], *, banned: Sequence[Labels] = ()
    ) -> Choice | None: ...


NEAR = 0.05  # allowances that differ by less of themselves are not told apart
SPARE = 0.9  # a measured drop below this share of its budget leaves room for more
MOST_GROWTH = 4.0  # of an allowance at a time
TURNS = 4  # solutions for each one measured
SLACKS = 24  # halvings of the excess that a budget needs


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """A choice, its totals as the tables have them and as measured, and by what share of itself
    each budget is exceeded."""

    choice: Choice
    predicted: Totals
    measured: Totals
    excess: Mapping[str, float]

    @property
    def met(self) -> bool:
        """Whether all budgets hold."""
        return not self.excess

    @property
    def worst(self) -> float:
        """The largest excess."""
        return max(self.excess.values(), default=0.0)


@dataclass(kw_only=True)
class Repair:
    """Searches a `problem` for a choice that holds its `bounds` as measured.

    `optimum` is the best choice under budgets, `value` what it is best in, `least_drop` the most
    accurate one; `measure` gives the totals of a choice; `scale` is what an excess is a share of
    where a bound is 0.
    """

    problem: Problem
    bounds: Mapping[str, float]
    optimum: Optimum
    value: Callable[[Choice], float]
    least_drop: Optimum
    measure: Callable[[Choice], Totals]
    scale: Mapping[str, float]
    rounds: int
    clock: Clock
    attempts: list[Attempt] = field(default_factory=list)
    factors: dict[str, float] = field(default_factory=dict)
    low: float = 0.0  # the largest allowance whose choice held
    high: float = float("inf")  # the least whose choice did not

    @cached_property
    def most_drop(self) -> float:
        """What the worst states of all items lose together."""
        items = self.problem.items.values()
        return sum(max(state.costs.get("drop", 0.0) for state in states) for states in items)

    def run(self) -> None:
        """Fills `attempts`, until no allowance of accuracy is left that could do better."""
        allowance: float | None = self.bounds.get("drop", float("inf"))
        for _ in range(TURNS * self.rounds):
            if allowance is None or len(self.attempts) >= self.rounds:
                break
            choice = self.optimum(self.allowed(allowance))
            if choice is None:
                break
            allowance = self.after(choice, allowance)
        if any(attempt.met for attempt in self.attempts):
            self.try_others()
        else:
            self.fall_back()

    def try_others(self) -> None:
        """Spends what rounds are left on the next best choices at the least allowance that broke:
        which of them breaks it is chance, and one that does not is better than what is known."""
        while self.high < float("inf") and len(self.attempts) < self.rounds:
            best = min(self.value(attempt.choice) for attempt in self.attempts if attempt.met)
            banned = [labels_of(attempt.choice) for attempt in self.attempts]
            choice = self.optimum(self.allowed(self.high), banned=banned)
            if choice is None or self.value(choice) >= best:
                break
            self.attempt(choice)

    def after(self, choice: Choice, allowance: float) -> float | None:
        """Measures a choice, and says what to allow next, if anything."""
        known = self.known(choice)
        attempt = known or self.attempt(choice)
        if attempt.excess and "drop" not in attempt.excess:
            self.tighten(attempt)
            return None if known else allowance
        return self.following(attempt, allowance) if "drop" in self.bounds else None

    def allowed(self, allowance: float) -> dict[str, float]:
        """The budgets of the next choice, by prediction."""
        found = {q: most / self.factors.get(q, 1.0) for q, most in self.bounds.items()}
        return found | ({"drop": allowance} if "drop" in self.bounds else {})

    def known(self, choice: Choice) -> Attempt | None:
        """An earlier attempt at the same choice."""
        labels = labels_of(choice)
        return next((one for one in self.attempts if labels_of(one.choice) == labels), None)

    def attempt(self, choice: Choice) -> Attempt:
        """Measures a choice."""
        self.clock.progress("measuring plans", len(self.attempts), self.rounds)
        predicted = {name: self.problem.total(choice, name) for name in QUANTITIES}
        measured = self.measure(choice)
        over = excess(measured, self.bounds)
        found = Attempt(choice=choice, predicted=predicted, measured=measured, excess=over)
        self.attempts.append(found)
        return found

    def tighten(self, attempt: Attempt) -> None:
        """Predictions of the budgets that were exceeded are too low by this factor."""
        for name in attempt.excess:
            if name != "drop" and attempt.predicted[name]:
                self.factors[name] = attempt.measured[name] / attempt.predicted[name] * 1.0001

    def following(self, attempt: Attempt, allowance: float) -> float | None:
        """The next allowance, None where there is nothing left to find."""
        bound, drop = self.bounds["drop"], attempt.measured["drop"]
        if attempt.met:
            self.low = max(self.low, allowance)
        else:
            self.high = min(self.high, allowance, attempt.predicted["drop"])
        if attempt.met and (drop >= SPARE * bound or allowance >= self.most_drop):
            return None
        if self.high - self.low <= NEAR * self.high < float("inf"):
            return None
        wanted = allowance * bound / drop if drop > 0 else float("inf")
        if self.high == float("inf"):
            return min(max(wanted, allowance * (1 + NEAR)), MOST_GROWTH * allowance)
        margin = NEAR * (self.high - self.low)
        inside = self.low + margin <= wanted <= self.high - margin
        return wanted if inside else (self.low + self.high) / 2

    def fall_back(self) -> None:
        """Measures the most accurate choice that holds the other budgets, and where that breaks its
        own, the one that by prediction comes nearest to all."""
        others = {name: most for name, most in self.allowed(0.0).items() if name != "drop"}
        finders: tuple[Callable[[], Choice | None], ...]
        finders = (partial(self.least_drop, others), self.nearest)
        for find in finders:
            choice = find()
            if choice and (self.known(choice) or self.attempt(choice)).met:
                break

    def nearest(self) -> Choice | None:
        """The choice whose largest excess is the least, by prediction."""
        low, high, best = 0.0, 1.0, None
        while best is None and high < 1e6:
            best = self.least_drop(self.loosened(high))
            low, high = (low, high) if best else (high, 4 * high)
        for _ in range(SLACKS if best else 0):
            middle = (low + high) / 2
            found = self.least_drop(self.loosened(middle))
            best, low, high = (found, low, middle) if found else (best, middle, high)
        return best

    def loosened(self, share: float) -> dict[str, float]:
        """All budgets, larger by a share of themselves."""
        return {
            name: most + share * (most or self.scale[name])
            for name, most in self.allowed(self.bounds.get("drop", 0.0)).items()
        }


def labels_of(choice: Choice) -> dict[str, object]:
    """What a choice stands for; layers without candidates of their own say nothing."""
    return {name: state.label for name, state in choice.items()}
