"""A choice made whole: its plan, and what the network under it measures."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from scipy.stats import norm

from compressors._lower import lower
from compressors.codesign._budget import Totals
from compressors.codesign._candidates import Candidate
from compressors.codesign._cost import Cost
from compressors.codesign._hits import Outcome, share_of, standard_error
from compressors.codesign._prices import Prices
from compressors.codesign._program import Choice
from compressors.codesign._records import of_record, to_record
from compressors.codesign._space import candidate_of, size_bits
from compressors.codesign._subject import Steps
from compressors.codesign._trials import Bench, Measure
from hwsim.errors import InputError
from hwsim.workload import Layer

Priced = Mapping[str, tuple[Layer, Cost]]


@dataclass(frozen=True, eq=False)
class Composer:
    """Measures whole plans, each once."""

    bench: Bench
    prices: Prices
    accuracy: Measure
    candidates: Mapping[str, Candidate]
    confidence: float | None = None

    def names(self, choice: Choice) -> dict[str, str]:
        """The candidate of each layer that has one."""
        return {layer: candidate_of(choice[layer]) for layer in self.bench.subject.layers}

    def steps(self, choice: Choice) -> dict[str, Steps]:
        """The steps of each layer."""
        return {layer: self.candidates[name].steps for layer, name in self.names(choice).items()}

    @cached_property
    def untouched(self) -> dict[str, Steps]:
        """No steps for any layer."""
        return dict.fromkeys(self.bench.subject.layers, ())

    @cached_property
    def base(self) -> Outcome:
        """The network as it is, measured. Raises EvaluationError."""
        return self.bench.outcome(self.untouched, self.accuracy)

    def baseline(self) -> Totals:
        """Totals of the network as it is; without energy and latency where it cannot be run so."""
        try:
            return self.measured(self.untouched)
        except InputError:
            return self.accuracy_of(self.untouched) | {"size": self.size(self.untouched)}

    def totals(self, choice: Choice) -> Totals:
        """Totals of a choice, carried out."""
        return self.measured(self.steps(choice))

    def measured(self, steps: Mapping[str, Steps]) -> Totals:
        """Totals under these steps, the accuracy itself among them. Raises InputError."""
        found = [cost for _, cost in self.priced(steps).values()]
        return self.accuracy_of(steps) | {
            "energy": sum(one.energy_pj for one in found),
            "latency": sum(one.latency_ms for one in found),
            "size": self.size(steps),
        }

    def priced(self, steps: Mapping[str, Steps]) -> Priced:
        """Every layer of the whole, and its cost."""
        return {one.name: (one, self.prices(one)) for one in self.layers(steps)}

    def size(self, steps: Mapping[str, Steps]) -> float:
        """Bits of all weights."""
        return float(sum(map(size_bits, self.layers(steps))))

    def accuracy_of(self, steps: Mapping[str, Steps]) -> dict[str, float]:
        """The accuracy, by how much it fell, or with a `confidence` fell at most, and the standard
        error of that where it is known. Raises InputError where it is not, and is needed."""
        now = self.bench.outcome(steps, self.accuracy)
        top, error = share_of(now), standard_error(self.base, now) if any(steps.values()) else 0.0
        found = {"accuracy": top, "drop": share_of(self.base) - top}
        if self.confidence is not None:
            if error is None:
                raise InputError(
                    f"budget: confidence = {self.confidence}: evaluate must return a list, true or "
                    "false for each image: of a share alone nobody knows how sure it is"
                )
            found["drop"] += float(norm.ppf(self.confidence)) * error
        return found if error is None else found | {"error": error}

    def layers(self, steps: Mapping[str, Steps]) -> list[Layer]:
        """All layers of the whole as records. Raises InputError."""
        subject, store, key = self.bench.subject, self.bench.store, self.bench.key("whole", steps)
        record = store.find(key)
        if record is None:
            module = self.bench.compressed(steps)
            network = lower(subject.network, module, subject.images, bits=subject.bits)
            record = store.keep(key, [to_record(layer) for layer in network])
        return [of_record(one) for one in record]
