"""A choice made whole: its plan, and what the network under it measures."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from compressors._lower import lower
from compressors.codesign._budget import Totals
from compressors.codesign._candidates import Candidate
from compressors.codesign._cost import Cost
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
    def base_accuracy(self) -> float:
        """Of the network as it is. Raises EvaluationError."""
        return self.carried_out(self.untouched)[1]

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
        return {one.name: (one, self.prices(one)) for one in self.carried_out(steps)[0]}

    def size(self, steps: Mapping[str, Steps]) -> float:
        """Bits of all weights."""
        return float(sum(map(size_bits, self.carried_out(steps)[0])))

    def accuracy_of(self, steps: Mapping[str, Steps]) -> dict[str, float]:
        """The accuracy, and by how much it fell."""
        top = self.carried_out(steps)[1]
        return {"accuracy": top, "drop": self.base_accuracy - top}

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
