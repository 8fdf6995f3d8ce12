"""Runs a network on a machine: each layer under its dataflow's best mapping, or the best of all."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from hwsim.cost import Cost, fused_cost
from hwsim.dataflow import accumulated as accumulated
from hwsim.dataflow import front_within_dataflow, within_dataflow
from hwsim.found import Found, Question
from hwsim.hardware import Accelerator
from hwsim.mapping import Mapping
from hwsim.mapping_cache import answer
from hwsim.mapping_pool import answers
from hwsim.objective import Objective as Objective
from hwsim.reach import obstacle
from hwsim.workload import Layer, Network


@dataclass(frozen=True, kw_only=True)
class LayerResult:
    """A simulated layer; one that is fused into its producer has no mapping of its own."""

    layer: Layer
    mapping: Mapping | None
    cost: Cost
    fused_into: str | None = None


@dataclass(frozen=True, kw_only=True)
class NetworkResult:
    """A simulated network, layers in order of execution."""

    network: Network
    machine: Accelerator
    layers: tuple[LayerResult, ...]

    @property
    def energy_pj(self) -> float:
        """Of all layers."""
        return sum(result.cost.energy_pj for result in self.layers)

    @property
    def cycles(self) -> int:
        """Of all layers, one after the other."""
        return sum(result.cost.cycles for result in self.layers)


def simulate(
    network: Network,
    machine: Accelerator,
    *,
    objective: Objective = "edp",
    effort: int = 0,
    workers: int | None = None,
    progress: Callable[[str], None] | None = None,
) -> NetworkResult:
    """Every layer's cost; `progress` is told each name once its cost is known, in any order.

    With an `effort` all mappings are searched, see `search`, else those of the machine's dataflow.
    Equal layers are mapped once, what was mapped in earlier runs not at all, and the rest by
    `workers` processes, by default as many as pay: see `hwsim.mapping_cache`, `hwsim.mapping_pool`.

    Raises MappingError for a layer that fits no mapping, InputError for one wider than the MACs.
    """
    layers = [accumulated(layer, machine) for layer in network]
    riding = {layer.name: fused_into(network, layer, machine) for layer in layers}
    moving = [layer for layer in layers if riding[layer.name] is None]

    def tell(names: Iterable[str]) -> None:
        for name in names:
            if progress:
                progress(name)

    tell(name for name, producer in riding.items() if producer)
    known = map_layers(
        moving, machine, objective=objective, effort=effort, workers=workers, done=tell
    )
    results = (_result(each, machine, riding[each.name], known.get(each.name)) for each in layers)
    return NetworkResult(network=network, machine=machine, layers=tuple(results))


def map_layers(
    layers: Iterable[Layer],
    machine: Accelerator,
    *,
    objective: Objective = "edp",
    effort: int = 0,
    workers: int | None = None,
    done: Callable[[Iterable[str]], None],
) -> dict[str, Found]:
    """What is found for each layer, by its name; `done` hears names, those of equal layers at once.

    Raises MappingError, InputError.
    """
    groups = _alike(layers)
    found = answers(
        [
            Question(layer=group[0], machine=machine, objective=objective, effort=effort)
            for group in groups
        ],
        search,
        workers=workers,
        done=lambda number: done(layer.name for layer in groups[number]),
    )
    return {each.name: one for group, one in zip(groups, found, strict=True) for each in group}


def _alike(layers: Iterable[Layer]) -> list[list[Layer]]:
    """Layers that differ in name alone, together."""
    groups: dict[Layer, list[Layer]] = {}
    for layer in layers:
        groups.setdefault(replace(layer, name=""), []).append(layer)
    return list(groups.values())


def _result(
    layer: Layer, machine: Accelerator, producer: str | None, found: Found | None
) -> LayerResult:
    if found is None:
        fused = fused_cost(layer, machine)
        return LayerResult(layer=layer, mapping=None, cost=fused, fused_into=producer)
    return LayerResult(layer=layer, mapping=found.mapping, cost=found.cost)


def best_mapping(
    layer: Layer, machine: Accelerator, *, objective: Objective = "edp", effort: int = 0
) -> tuple[Mapping, Cost]:
    """The mapping of least energy, cycles or product of both, and its cost: of the machine's
    dataflow, or with an `effort` of all, see `search`.

    Raises MappingError, InputError.
    """
    found = ask(Question(layer=layer, machine=machine, objective=objective, effort=effort))
    return found.mapping, found.cost


def ask(question: Question) -> Found:
    """What was found before, or else what `search` finds. Raises MappingError, InputError."""
    return answer(question, search)


def search(question: Question) -> Found:
    """The best mapping of all that is found, whatever is known: the one place where mappers are
    called. Where the search of all mappings does not know what is asked, or `question.effort` is 0,
    it is the best of the dataflow; the answer says which, and why.

    Raises MappingError, InputError.
    """
    reason = obstacle(question) if question.effort else ""
    if reason or not question.effort:
        return replace(within_dataflow(question), reason=reason)
    # The compiled search takes a while to load, and some questions do without.
    from hwsim.mapper import best
    from hwsim.tradeoff import within_latency

    return best(question) if question.max_cycles is None else within_latency(question)


def front(question: Question) -> tuple[Found, ...]:
    """The mappings that no other matches or beats in energy and cycles, fastest first; of the same
    mappings as `search`, whatever the question's objective. Raises MappingError, InputError.
    """
    reason = obstacle(question) if question.effort else ""
    if reason or not question.effort:
        layer, machine = question.layer, question.machine
        known = front_within_dataflow(layer, machine, constraints=question.constraints)
        return tuple(replace(each, reason=reason) for each in known)
    from hwsim.tradeoff import front as front_of_all

    return front_of_all(question)


def fused_into(network: Network, layer: Layer, machine: Accelerator) -> str | None:
    """The producer on whose output a layer rides; None where it moves data of its own."""
    producers = list(network.graph.predecessors(layer.name))
    return producers[0] if layer.op in machine.fused and len(producers) == 1 else None
