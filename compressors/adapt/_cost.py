"""What a network costs, layer by layer: simulated, or as any function of layers says."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from compressors.codesign import Cost, LayerCosts, Simulator
from hwsim.errors import InputError
from hwsim.frontends.torch import network_from_torch, with_densities
from hwsim.simulate import fused_into
from hwsim.workload import Layer, Network


def network_cost(network: Network, costs: LayerCosts) -> Cost:
    """The sum over layers. Raises InputError for a cost below zero or that is no number."""
    found = [_price(network, layer, costs) for layer in network]
    return Cost(
        energy_pj=sum(each.energy_pj for each in found),
        latency_ms=sum(each.latency_ms for each in found),
    )


def _price(network: Network, layer: Layer, costs: LayerCosts) -> Cost:
    if isinstance(costs, Simulator) and fused_into(network, layer, costs.machine):
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
