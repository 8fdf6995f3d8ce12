"""A choice made whole: its plan, and what the network under it measures."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from compressors._lower import lower
from compressors.codesign._budget import Totals
from compressors.codesign._candidates import Candidate
from compressors.codesign._prices import Prices
from compressors.codesign._program import Choice
from compressors.codesign._records import of_record, to_record
from compressors.codesign._space import size_bits
from compressors.codesign._store import key_of
from compressors.codesign._subject import Steps
from compressors.codesign._trials import Bench, Measure
from hwsim.workload import Layer


@dataclass(frozen=True, eq=False)
class Composer:
    """Measures whole plans, each once."""

    bench: Bench
    prices: Prices
    accuracy: Measure
    candidates: Mapping[str, Candidate]

    def steps(self, choice: Choice) -> dict[str, Steps]:
        """The steps of each layer."""
        return {
            layer: self.candidates[choice[layer].label.candidate].steps
            for layer in self.bench.subject.layers
        }

    @cached_property
    def base_accuracy(self) -> float:
        """Of the network as it is."""
        return self.baseline()["accuracy"]

    def baseline(self) -> dict[str, float]:
        """Totals of the network as it is."""
        return self.measured(dict.fromkeys(self.bench.subject.layers, ())) | {"drop": 0.0}

    def totals(self, choice: Choice) -> Totals:
        """Totals of a choice, carried out."""
        found = self.measured(self.steps(choice))
        return found | {"drop": self.base_accuracy - found["accuracy"]}

    def measured(self, steps: Mapping[str, Steps]) -> dict[str, float]:
        """Totals under these steps, with the accuracy itself."""
        layers, top = self.carried_out(steps)
        found = [self.prices(layer) for layer in layers]
        return {
            "energy": sum(one.energy_pj for one in found),
            "latency": sum(one.latency_ms for one in found),
            "size": float(sum(map(size_bits, layers))),
            "accuracy": top,
        }

    def carried_out(self, steps: Mapping[str, Steps]) -> tuple[list[Layer], float]:
        """All layers as records, and the accuracy. Raises EvaluationError, InputError."""
        store, key = self.bench.store, "composed " + self.bench.key(steps, self.accuracy)
        record = store.find(key)
        if record is None:
            record = store.keep(key, self._record(steps))
        return [of_record(one) for one in record["layers"]], float(record["accuracy"])

    def _record(self, steps: Mapping[str, Steps]) -> dict[str, Any]:
        subject = self.bench.subject
        module = self.bench.compressed(steps)
        top = self.bench.score(module, steps, self.accuracy)
        network = lower(subject.network, module, subject.images, bits=subject.bits)
        return {"accuracy": top, "layers": [to_record(layer) for layer in network]}
