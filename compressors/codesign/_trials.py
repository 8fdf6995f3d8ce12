"""Trials: a network with some layers compressed, what that does to a measure, and the records."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import nn, random

from compressors._compress import compress
from compressors._layers import weight_of
from compressors._lower import bare_copy, narrowed, quantised_densities
from compressors._plan import Plan
from compressors.activations._quantiser import input_quantiser
from compressors.codesign._hits import Outcome, outcome_of, packed, share_of, unpacked
from compressors.codesign._records import of_record, sizes, to_record
from compressors.codesign._store import Store, key_of
from compressors.codesign._subject import Evaluate, Steps, Subject, with_sizes
from compressors.weights._form import frozen
from hwsim.accuracy import one_thread
from hwsim.errors import InputError
from hwsim.frontends.torch import network_from_torch
from hwsim.workload import Layer, Network


class EvaluationError(InputError):
    """The user's `evaluate` raised, or returned neither a share in 0..1 nor hits."""


@dataclass(frozen=True, kw_only=True)
class Measure:
    """A number for a network, or hits, under a name that decides it together with the subject."""

    name: str
    of: Callable[[nn.Module], Outcome]


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What came of a plan: why a method refused, or what was measured, and the layers that the
    plan names as records whose ofmaps are plain words.

    `sizes` are those of all layers that lost channels.
    """

    refused: str = ""
    score: float = 0.0
    records: Mapping[str, Layer]
    sizes: Mapping[str, Mapping[str, int]]


def accuracy(evaluate: Evaluate, name: str) -> Measure:
    """The user's accuracy. Raises EvaluationError in place of whatever it raises."""

    def measured(model: nn.Module) -> Outcome:
        try:
            found = evaluate(model)
        except Exception as error:
            raise EvaluationError(f"evaluate: {type(error).__name__}: {error}") from error
        try:
            return outcome_of(found)
        except ValueError as error:
            raise EvaluationError(f"evaluate: {error}") from error

    return Measure(name=f"accuracy {name}", of=measured)


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Carries plans out on a subject, each once: what is in the store is not done again."""

    subject: Subject
    store: Store
    last: dict[str, nn.Module] = field(default_factory=dict)  # the plan carried out last

    def trial(self, steps: Mapping[str, Steps], measure: Measure) -> Trial:
        """The outcome of giving these layers these steps, and the others none.

        Raises EvaluationError naming the plan.
        """
        key = self.key("layers", steps)
        record = self.store.find(key)
        if record is None:
            record = self.store.keep(key, self._carried_out(steps))
        if record["refused"]:
            return Trial(refused=record["refused"], records={}, sizes={})
        return Trial(
            score=self.score(steps, measure),
            records={name: of_record(each) for name, each in record["records"].items()},
            sizes=record["sizes"],
        )

    def score(self, steps: Mapping[str, Steps], measure: Measure) -> float:
        """The measure of the network under these steps, of hits their share.

        Raises EvaluationError naming the plan.
        """
        return share_of(self.outcome(steps, measure))

    def outcome(self, steps: Mapping[str, Steps], measure: Measure) -> Outcome:
        """The same, hits as they are."""
        some = {path: each for path, each in steps.items() if each}
        key = self.key(f"score {measure.name}", some)
        found = self.store.find(key)
        if found is None:
            measured = self._measured(self.compressed(some), some, measure)
            found = self.store.keep(key, packed(measured))
        return unpacked(found)

    def alone(self, layer: str, steps: Steps) -> dict[str, Steps]:
        """These steps for one layer, and their first for those that lose channels with it."""
        name = self.subject.group_of(layer)
        if not (steps and steps[0].removes_channels and name):
            return {layer: steps}
        return dict.fromkeys(self.subject.groups[name].producers, steps[:1]) | {layer: steps}

    def key(self, what: str, steps: Mapping[str, Steps]) -> str:
        """What decides the outcome."""
        plan = {path: [step.model_dump() for step in each] for path, each in steps.items()}
        return key_of(what, self.subject.digest, plan)

    def compressed(self, steps: Mapping[str, Steps]) -> nn.Module:
        """The network under these steps. Raises InputError where a method refuses."""
        some = {path: each for path, each in steps.items() if each}
        if not some:
            return self.subject.model
        plan = Plan(layers={"*": (), **some})
        key = plan.model_dump_json()
        if key not in self.last:
            self.last.clear()
            self.last[key] = self._compressed(plan)
        return self.last[key]

    def _compressed(self, plan: Plan) -> nn.Module:
        subject = self.subject
        with random.fork_rng(devices=[]), one_thread():
            torch.manual_seed(subject.seed)
            return compress(subject.model, plan, data=subject.data, calibration=subject.calibration)

    def _measured(self, module: nn.Module, steps: Mapping[str, Steps], measure: Measure) -> Outcome:
        try:
            with random.fork_rng(devices=[]):
                torch.manual_seed(self.subject.seed)
                return measure.of(frozen(module))
        except EvaluationError as error:
            plan = {path: [step.method for step in each] for path, each in steps.items()}
            raise EvaluationError(f"{error} (plan: {plan or 'the network as it is'})") from error

    def _carried_out(self, steps: Mapping[str, Steps]) -> dict[str, Any]:
        try:
            module = self.compressed(steps)
        except InputError as error:
            return {"refused": str(error), "records": {}, "sizes": {}}
        network = self._resized(module)
        records = {path: to_record(self._record(network[path], module)) for path in steps}
        changed = {
            layer.name: sizes(layer)
            for layer in network
            if sizes(layer) != sizes(self.subject.network[layer.name])
        }
        return {"refused": "", "records": records, "sizes": changed}

    def _resized(self, module: nn.Module) -> Network:
        """The subject's network in the sizes that are left."""
        subject = self.subject
        before, after = (
            [tuple(weight_of(model.get_submodule(path)).shape) for path in subject.layers]
            for model in (subject.model, module)
        )
        if before == after:
            return subject.network
        batch = torch.zeros(subject.network.layers[0].N, *subject.images.shape[1:])
        found = network_from_torch(bare_copy(module), (batch,), name=subject.network.name)
        return with_sizes(subject.network, {layer.name: sizes(layer) for layer in found})

    def _record(self, layer: Layer, module: nn.Module) -> Layer:
        """A layer as its module leaves it; its ofmap as wide as any word."""
        bits, part = self.subject.bits, module.get_submodule(layer.name)
        quantiser = input_quantiser(part)
        ifmap = quantiser.bits if quantiser else bits
        found = narrowed(layer, module, ifmap=ifmap, ofmap=bits, bits=bits)
        if quantiser:
            density = quantised_densities(module, self.subject.images)[layer.name]
            found = replace(found, ifmap=replace(found.ifmap, density=density))
        return found
