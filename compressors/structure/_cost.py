"""What each layer costs in the network as it is: MACs, or joules on a machine."""

from torch import Tensor, nn

from compressors._layers import weighted_layers
from hwsim.frontends.torch import network_from_torch, with_densities
from hwsim.hardware import load_machine
from hwsim.simulate import simulate


def layer_macs(model: nn.Module, image: Tensor) -> dict[str, float]:
    """Multiply-accumulates of each weighted layer for an image, 1 x ..."""
    network = network_from_torch(model, (image,), name=type(model).__name__)
    paths = weighted_layers(model)
    return {layer.name: float(layer.macs) for layer in network if layer.name in paths}


def layer_energies_pj(model: nn.Module, images: Tensor, *, machine: str) -> dict[str, float]:
    """Simulated picojoules of each weighted layer for an image, with the zeros `images` leave."""
    network = network_from_torch(model, (images[:1],), name=type(model).__name__)
    measured = with_densities(network, model, images)
    result = simulate(measured, load_machine(machine), workers=1)
    paths = weighted_layers(model)
    results = (found for found in result.layers if found.layer.name in paths)
    return {found.layer.name: found.cost.energy_pj for found in results}
