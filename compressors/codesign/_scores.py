"""From what trials score to what accuracy they are taken to cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias, TypeVar

from compressors.codesign._clock import Clock
from compressors.codesign._hits import standard_error
from compressors.codesign._noise import known, likely_drops, price
from compressors.codesign._sensitivity import (
    SAMPLES,
    Sensitivity,
    measures,
    rank_correlation,
    spread,
)
from compressors.codesign._survey import Option, Rate, Survey
from compressors.codesign._trials import Bench, Measure
from hwsim.codesign_report import Comparison

Tried: TypeAlias = Option | Rate
T = TypeVar("T", Option, Rate)


@dataclass(eq=False)
class Scores:
    """The measures of trials, and their meaning."""

    bench: Bench
    accuracy: Measure
    sensitivity: Sensitivity
    compare: tuple[Sensitivity, ...]
    comparisons: tuple[Comparison, ...] = ()
    made: dict[Sensitivity, Measure] = field(default_factory=dict)

    @property
    def measures(self) -> tuple[Measure, ...]:
        """What trials are scored by, and what else is asked of them."""
        first = self.named(self.sensitivity)
        return (first, self.named("output_error")) if self.sensitivity == "measured" else (first,)

    def named(self, sensitivity: Sensitivity) -> Measure:
        """A measure by name, made once."""
        if sensitivity not in self.made:
            make = measures(self.bench.subject, self.accuracy)[sensitivity]
            self.made[sensitivity] = make()
        return self.made[sensitivity]

    def judged(self, found: Survey, clock: Clock) -> Survey:
        """The same, with what each trial is taken to cost. Measures some trials where the score is
        a proxy, all where others are to be put beside measured ones."""
        options = [one for each in found.options.values() for one in each.values()]
        tried = [one for one in options if one.candidate.steps]
        rates = [one for each in found.rates.values() for one in each.values()]
        every: list[Tried] = [*tried, *rates]
        others = [one for one in self.compare if one != self.sensitivity]
        if self.sensitivity == "measured":
            self.comparisons = tuple(self.comparison(one, tried, clock) for one in others)
            drops = self.likely(every)
        else:
            unit = self.by_proxy(tried, others, clock)
            drops = [unit * one.score for one in every]
        most = self.bench.score({}, self.accuracy)  # none can lose more than there is
        said = {id(one): min(drop, most) for one, drop in zip(every, drops, strict=True)}
        return replace(
            found, options=_with_drops(found.options, said), rates=_with_drops(found.rates, said)
        )

    def likely(self, tried: Sequence[Tried]) -> list[float]:
        """What was measured, as far as it is not noise."""
        error = self.named("output_error")
        return likely_drops(
            [self.drop(one) for one in tried],
            self.noise(tried),
            [self.bench.score(one.trial, error) for one in tried],
        )

    def noise(self, tried: Sequence[Tried]) -> list[float | None]:
        """The standard errors of measured drops, None where they are not known."""
        before = self.bench.outcome({}, self.accuracy)
        after = (self.bench.outcome(one.trial, self.accuracy) for one in tried)
        return [standard_error(before, each) for each in after]

    def by_proxy(
        self,
        tried: Sequence[Option],
        others: Sequence[Sensitivity],
        clock: Clock,
    ) -> float:
        """The drop that a score of 1 stands for, by trials that are measured."""
        some: Sequence[Option] = tried
        if not others:
            some = [tried[place] for place in spread([one.score for one in tried], SAMPLES)]
        drops = [self.drop(one) for one in clock.told(some, "measuring trials")]
        scores = [one.score for one in some]
        self.comparisons = (
            _compared(self.sensitivity, scores, drops),
            *(self.comparison(one, some, clock) for one in others if one != "measured"),
        )
        return price(drops, known(drops, self.noise(some)), scores)

    def drop(self, one: Tried) -> float:
        """The measured drop of a trial, below zero where it tells more images right."""
        base = self.bench.score({}, self.accuracy)
        return base - self.bench.score(one.trial, self.accuracy)

    def comparison(self, other: Sensitivity, tried: Sequence[Option], clock: Clock) -> Comparison:
        """A proxy beside the measured drops of these trials."""
        told = clock.told(tried, f"{other} of trials")
        scores = [self.bench.score(one.trial, self.named(other)) for one in told]
        return _compared(other, scores, [self.drop(one) for one in tried])


def _with_drops(
    found: Mapping[str, Mapping[str, T]], said: Mapping[int, float]
) -> dict[str, dict[str, T]]:
    return {
        name: {key: replace(one, drop=said.get(id(one), 0.0)) for key, one in each.items()}
        for name, each in found.items()
    }


def _compared(sensitivity: Sensitivity, scores: list[float], drops: list[float]) -> Comparison:
    return Comparison(
        sensitivity=sensitivity, correlation=rank_correlation(scores, drops), trials=len(scores)
    )
