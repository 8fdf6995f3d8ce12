"""What each layer costs in the network as it is: MACs, or joules on a machine."""

from torch import Tensor, nn

from compressors._layers import weighted_layers
from hwsim.frontends.torch import network_from_torch, with_densities
from hwsim.hardware import Accelerator, load_machine
from hwsim.simulate import simulate
from hwsim.workload import Layer


def layer_macs(model: nn.Module, image: Tensor) -> dict[str, float]:
    """Multiply-accumulates of each weighted layer for an image, 1 x ..."""
    network = network_from_torch(model, (image,), name=type(model).__name__)
    paths = weighted_layers(model)
    return {layer.name: float(layer.macs) for layer in network if layer.name in paths}


def layer_energies_pj(model: nn.Module, images: Tensor, *, machine: str) -> dict[str, float]:
    """Simulated picojoules of each weighted layer for an image, with the zeros `images` leave.

    Words are as wide as the machine's MACs take them, where the network's are wider.
    """
    network = network_from_torch(model, (images[:1],), name=type(model).__name__)
    chip, measured = load_machine(machine), with_densities(network, model, images)
    narrow = measured.with_layers({layer.name: _narrowed(layer, chip) for layer in measured})
    paths = weighted_layers(model)
    found = (one for one in simulate(narrow, chip, workers=1).layers if one.layer.name in paths)
    return {one.layer.name: one.cost.energy_pj for one in found}


def _narrowed(layer: Layer, machine: Accelerator) -> Layer:
    """The layer with operands that the MACs take."""
    ifmap = min(layer.ifmap.bits, machine.mac.ifmap_bits)
    weight = min(layer.weight.bits, machine.mac.weight_bits) if layer.weighted else ifmap
    ofmap = min(layer.ofmap.bits, machine.mac.ifmap_bits)
    return layer.at_bits(ifmap=ifmap, weight=weight, ofmap=ofmap, psum=layer.psum.bits)
