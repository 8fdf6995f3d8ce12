"""What a network costs, layer by layer: simulated, or as any function of layers says."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from hwsim.cost import Cost as Simulation
from hwsim.cost import fused_cost
from hwsim.dataflow import accumulated
from hwsim.errors import InputError
from hwsim.found import Question
from hwsim.frontends.torch import network_from_torch, with_densities
from hwsim.hardware import Accelerator
from hwsim.objective import Objective
from hwsim.simulate import ask, fused_into
from hwsim.workload import Layer, Network


class Priced(Protocol):
    """What a layer costs for one batch."""

    @property
    def energy_pj(self) -> float: ...

    @property
    def latency_ms(self) -> float: ...


class LayerCosts(Protocol):
    """What each layer costs; a network costs the sum. A simulator, a table, a measured device."""

    def __call__(self, layer: Layer) -> Priced: ...


@runtime_checkable
class OnMachine(Protocol):
    """Costs of a machine on which some layers ride on their producer's output."""

    @property
    def machine(self) -> Accelerator: ...

    def fused(self, layer: Layer) -> Priced: ...


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Energy and time of a batch."""

    energy_pj: float
    latency_ms: float


@dataclass(frozen=True, kw_only=True)
class Simulated:
    """A machine's costs, each layer under its own best mapping: see `hwsim.simulate.search` for
    `effort`. Raises InputError, MappingError.
    """

    machine: Accelerator
    objective: Objective = "edp"
    effort: int = 0

    def __call__(self, layer: Layer) -> Cost:
        known = accumulated(layer, self.machine)
        question = Question(
            layer=known, machine=self.machine, objective=self.objective, effort=self.effort
        )
        return self._cost(ask(question).cost)

    def fused(self, layer: Layer) -> Cost:
        """Of a layer that rides on its producer's output."""
        return self._cost(fused_cost(accumulated(layer, self.machine), self.machine))

    def _cost(self, found: Simulation) -> Cost:
        milliseconds = found.cycles / (self.machine.clock_mhz * 1e3)
        return Cost(energy_pj=found.energy_pj, latency_ms=milliseconds)


def network_cost(network: Network, costs: LayerCosts) -> Cost:
    """The sum over layers. Raises InputError for a cost below zero or that is no number."""
    found = [_price(network, layer, costs) for layer in network]
    return Cost(
        energy_pj=sum(each.energy_pj for each in found),
        latency_ms=sum(each.latency_ms for each in found),
    )


def _price(network: Network, layer: Layer, costs: LayerCosts) -> Priced:
    if isinstance(costs, OnMachine) and fused_into(network, layer, costs.machine):
        return costs.fused(layer)
    price = costs(layer)
    for quantity in ("energy_pj", "latency_ms"):
        value = getattr(price, quantity)
        if not 0 <= value < float("inf"):
            raise InputError(f"cost: layer {layer.name!r}: {quantity} = {value!r}: not 0 or more")
    return price


@dataclass(frozen=True, kw_only=True)
class Workload:
    """How a network is run: `batch` images of a shape at once, words of `bits`, and the densities
    of each layer's ifmap and ofmap, taken to stay as they are while filters go."""

    shape: tuple[int, ...]
    batch: int
    bits: int
    densities: Mapping[str, tuple[float, float]]

    @staticmethod
    def of(model: nn.Module, images: Tensor, *, batch: int, bits: int) -> "Workload":
        """As the model runs, with the zeros that `images`, N x ..., leave."""
        shape = tuple(images.shape[1:])
        plain = Workload(shape=shape, batch=batch, bits=bits, densities={})
        measured = with_densities(plain.network(model), model, images)
        densities = {each.name: (each.ifmap.density, each.ofmap.density) for each in measured}
        return replace(plain, densities=densities)

    def network(self, model: nn.Module) -> Network:
        """The layers of a model, of which some filters may have gone."""
        example = torch.zeros(self.batch, *self.shape)
        found = network_from_torch(model, (example,), name=type(model).__name__)
        return found.with_layers({layer.name: self._run(layer) for layer in found})

    def _run(self, layer: Layer) -> Layer:
        bits = self.bits
        plain = layer.at_bits(ifmap=bits, weight=bits, ofmap=bits, psum=2 * bits)
        ifmap, ofmap = self.densities.get(layer.name, (1.0, 1.0))
        return replace(
            plain,
            ifmap=replace(plain.ifmap, density=ifmap),
            ofmap=replace(plain.ofmap, density=ofmap),
        )
