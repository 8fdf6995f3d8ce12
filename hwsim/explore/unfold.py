"""Points of a front layer by layer: a record each, as `hwsim simulate` writes it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache

from hwsim import mapping, single
from hwsim.cost import Cost, fused_cost
from hwsim.explore.costs import Costs
from hwsim.explore.crew import Crew
from hwsim.explore.evaluate import Ran, Task, built, ran, received
from hwsim.explore.fields import Value
from hwsim.explore.space import Space
from hwsim.hardware import Accelerator
from hwsim.simulate import LayerResult, NetworkResult
from hwsim.workload import Layer, Network

Found = tuple[mapping.Mapping | None, Cost]
Stored = Mapping[str, Value | None]


def unfold(task: Task, crew: Crew, rows: Sequence[Stored]) -> dict[str, single.Run]:
    """Points as they are stored, by their keys, each as `unfolded`: by a crew, which knows their
    mappings, or here where its workers die."""
    sent = task.to_bytes()
    try:
        asked = [crew.executor.submit(_received, sent, row) for row in rows]
        found = [future.result() for future in asked]
    except crew.deaths:
        found = [unfolded(task, row) for row in rows]
    return {str(row["key"]): run for row, run in zip(rows, found, strict=True)}


def _received(task: bytes, stored: Stored) -> single.Run:
    return unfolded(received(task), stored)


def unfolded(task: Task, stored: Stored) -> single.Run:
    """A point that was measured, as it is stored, under the mappings that it was judged by: its
    layers sum to what is stored."""
    settings = task.space.settings(_chosen(task.space, stored))
    machine = built(task, settings, {})
    asked = ran(task, settings, machine)
    layers = tuple(_results(task.space, asked, machine))
    network = Network(name=asked.name, layers=tuple(result.layer for result in layers))
    found = single.record(
        NetworkResult(network=network, machine=machine, layers=layers),
        source=asked.name,
        objective=task.space.objective,
        effort=task.space.effort,
    )
    side = found.side.model_copy(update={"top1": asked.workload.accuracy})
    return found.model_copy(update={"side": side})


def _chosen(space: Space, stored: Stored) -> dict[str, Value]:
    """The values of a point; the database knows truths as numbers, which equal them."""
    return {
        name: next(value for value in values if value == stored[name])
        for name, values in space.axes.items()
    }


def _results(space: Space, asked: Ran, machine: Accelerator) -> Iterator[LayerResult]:
    """Each layer by its name; equal ones are mapped once."""
    costs = Costs(space, machine)

    @cache
    def found(layer: Layer, riding: bool) -> Found:
        return (None, fused_cost(layer, machine)) if riding else costs.mapped(layer)

    for (layer, riding), (name, producer) in zip(asked.layers, asked.workload.names, strict=True):
        nest, cost = found(layer, riding)
        yield LayerResult(
            layer=replace(layer, name=name),
            mapping=nest,
            cost=cost,
            fused_into=producer if riding else None,
        )
