"""What each layer can get, tried one by one: its record, its loss of accuracy, or why it is out.

Layers whose channels go together lose them at one rate: the first step of a candidate that removes
any. What a rate costs in accuracy is that of all these layers without their channels, and counts
once; what else a candidate does is counted on top of it.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from compressors.codesign._candidates import Candidate
from compressors.codesign._clock import Clock
from compressors.codesign._subject import Steps
from compressors.codesign._trials import Bench, Measure, Trial
from hwsim.workload import Layer

WHOLE = ""  # the rate of a group that keeps all channels


@dataclass(frozen=True, kw_only=True)
class Option:
    """A candidate that a layer can take, and the layer's record under it, all else as it was.

    `rate` is that of its group; `trial` is what was carried out, and `score` the trial's measure;
    `drop` is the accuracy that it is taken to cost.
    """

    candidate: Candidate
    record: Layer
    rate: str = WHOLE
    trial: Mapping[str, Steps] = field(default_factory=dict)
    score: float = 0.0
    drop: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Rate:
    """A share of channels that all layers of a group lose by one step, tried as an `Option` is."""

    name: str
    sizes: Mapping[str, Mapping[str, int]]
    trial: Mapping[str, Steps] = field(default_factory=dict)
    score: float = 0.0
    drop: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Dropped:
    """A candidate that a layer does not get, and why."""

    layer: str
    candidate: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Survey:
    """Options by layer and candidate, rates by group and step, and what is out."""

    options: Mapping[str, Mapping[str, Option]]
    rates: Mapping[str, Mapping[str, Rate]]
    dropped: tuple[Dropped, ...]


def survey(
    bench: Bench, candidates: Iterable[Candidate], measures: Sequence[Measure], clock: Clock
) -> Survey:
    """Tries every candidate on every layer; the first measure scores, the others are kept.

    Raises EvaluationError.
    """
    listed = tuple(candidates)
    found = _Survey(bench, measures)
    pairs = [(layer, each) for layer in bench.subject.layers for each in listed]
    for layer, candidate in clock.told(pairs, "trials", lambda pair: f"{pair[0]}: {pair[1].name}"):
        found.attempt(layer, candidate)
    return Survey(options=found.options, rates=found.rates, dropped=tuple(found.dropped))


@dataclass
class _Survey:
    """What was found so far."""

    bench: Bench
    measures: Sequence[Measure]
    options: dict[str, dict[str, Option]] = field(default_factory=dict)
    rates: dict[str, dict[str, Rate]] = field(default_factory=dict)
    dropped: list[Dropped] = field(default_factory=list)

    def attempt(self, layer: str, candidate: Candidate) -> None:
        """Try one candidate on one layer."""
        options, steps = self.options.setdefault(layer, {}), candidate.steps
        thins = bool(steps) and steps[0].removes_channels
        alone = self.bench.alone(layer, steps)
        found = self.measured(alone)
        reason = found.refused or (self.note_rate(layer, candidate) if thins else "")
        if any(step.removes_channels for step in steps[1:]):
            reason = "removes channels by a step that is not its first"
        if reason:
            self.dropped.append(Dropped(layer=layer, candidate=candidate.name, reason=reason))
            return
        options[candidate.name] = Option(
            candidate=candidate,
            record=found.records[layer],
            rate=rate_key(steps) if thins else WHOLE,
            trial=alone,
            score=found.score,
        )

    def measured(self, steps: Mapping[str, Steps]) -> Trial:
        """A trial, by all measures while its network is at hand."""
        first, *others = self.measures
        found = self.bench.trial(steps, first)
        for measure in others if not found.refused else ():
            self.bench.score(steps, measure)
        return found

    def note_rate(self, layer: str, candidate: Candidate) -> str:
        """Notes the rate at which channels went; says why if they cannot."""
        name = self.bench.subject.group_of(layer)
        if name is None:
            return "its channels cannot go"
        first = candidate.steps[:1]
        alone = self.bench.alone(layer, first)
        joint = self.measured(alone)
        if not joint.refused:
            rate = Rate(name=candidate.name, sizes=joint.sizes, trial=alone, score=joint.score)
            self.rates.setdefault(name, {}).setdefault(rate_key(first), rate)
        return joint.refused


def rate_key(steps: Steps) -> str:
    """The first of these steps, which says how many channels stay."""
    return json.dumps(steps[0].model_dump(), sort_keys=True)
