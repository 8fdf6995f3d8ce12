"""What each layer costs in the network as it is: MACs, or joules on a machine."""

import torch
from torch import Tensor, nn

from compressors._layers import weighted_layers
from compressors._lower import lower
from hwsim.frontends.torch import network_from_torch
from hwsim.hardware import load_machine
from hwsim.simulate import simulate


def layer_macs(model: nn.Module, image: Tensor) -> dict[str, float]:
    """Multiply-accumulates of each weighted layer for an image, 1 x ..."""
    network = network_from_torch(model, (image,), name=type(model).__name__)
    paths = weighted_layers(model)
    return {layer.name: float(layer.macs) for layer in network if layer.name in paths}


def layer_energies_pj(
    model: nn.Module, images: Tensor, *, machine: str, batch: int = 1
) -> dict[str, float]:
    """Simulated picojoules of each weighted layer for an image, with the zeros `images` leave.

    Words that no code narrowed are as wide as the machine's MACs take them; `batch` images are
    processed at once.
    """
    chip = load_machine(machine)
    example = torch.zeros(batch, *images.shape[1:])
    network = network_from_torch(model, (example,), name=type(model).__name__)
    coded = lower(network, model, images, bits=min(16, chip.mac.ifmap_bits))
    paths = weighted_layers(model)
    found = (one for one in simulate(coded, chip, workers=1).layers if one.layer.name in paths)
    return {one.layer.name: one.cost.energy_pj / batch for one in found}
