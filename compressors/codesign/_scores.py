"""From what trials score to what accuracy they are taken to cost."""

from collections.abc import Callable
from dataclasses import dataclass, field

from compressors.codesign._clock import Clock
from compressors.codesign._sensitivity import (
    SAMPLES,
    Sensitivity,
    curve,
    measures,
    rank_correlation,
    spread,
)
from compressors.codesign._subject import Steps
from compressors.codesign._survey import Option, Survey
from compressors.codesign._trials import Bench, Measure
from hwsim.codesign_report import Comparison

Drop = Callable[[float], float]


@dataclass(eq=False)
class Scores:
    """The measure of trials, and its meaning; `base` is the accuracy of the network as it is."""

    bench: Bench
    accuracy: Measure
    base: float
    sensitivity: Sensitivity
    compare: tuple[Sensitivity, ...]
    comparisons: tuple[Comparison, ...] = ()
    known: dict[Sensitivity, Measure] = field(default_factory=dict)

    @property
    def measure(self) -> Measure:
        """What trials are scored by."""
        return self.named(self.sensitivity)

    def named(self, sensitivity: Sensitivity) -> Measure:
        """A measure by name, made once."""
        if sensitivity not in self.known:
            make = measures(self.bench.subject, self.accuracy)[sensitivity]
            self.known[sensitivity] = make()
        return self.known[sensitivity]

    def drops(self, found: Survey, clock: Clock) -> Drop:
        """What a score stands for. Measures some trials where it is a proxy, all where others are
        to be put beside measured ones."""
        pairs = [(layer, one) for layer, each in found.options.items() for one in each.values()]
        pairs = [(layer, one) for layer, one in pairs if one.candidate.steps]
        others = [one for one in self.compare if one != self.sensitivity]
        if self.sensitivity == "measured":
            self.comparisons = tuple(self.comparison(one, pairs, clock) for one in others)
            return lambda score: max(0.0, self.base - score)
        if not others:
            scores = [one.score for _, one in pairs]
            pairs = [pairs[place] for place in spread(scores, SAMPLES)]
        drops = self.measured(pairs, clock)
        scores = [one.score for _, one in pairs]
        self.comparisons = (
            _compared(self.sensitivity, scores, drops),
            *(self.comparison(one, pairs, clock) for one in others if one != "measured"),
        )
        return curve(scores, drops)

    def measured(self, pairs: list[tuple[str, Option]], clock: Clock) -> list[float]:
        """The drops of these trials."""
        told = clock.told(pairs, "measuring trials")
        return [self.base - self.rescored(*pair, self.accuracy) for pair in told]

    def comparison(
        self, other: Sensitivity, pairs: list[tuple[str, Option]], clock: Clock
    ) -> Comparison:
        """A proxy beside the measured drops of these trials."""
        drops = self.measured(pairs, clock)
        told = clock.told(pairs, f"{other} of trials")
        return _compared(other, [self.rescored(*pair, self.named(other)) for pair in told], drops)

    def rescored(self, layer: str, option: Option, measure: Measure) -> float:
        """The same trial by another measure."""
        return self.bench.trial(self.trial_of(layer, option), measure).score

    def trial_of(self, layer: str, option: Option) -> dict[str, Steps]:
        """What the trial of an option carried out."""
        return self.bench.alone(layer, option.candidate.steps)


def _compared(sensitivity: Sensitivity, scores: list[float], drops: list[float]) -> Comparison:
    return Comparison(
        sensitivity=sensitivity, correlation=rank_correlation(scores, drops), trials=len(scores)
    )
