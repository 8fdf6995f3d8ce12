"""From which density on zeros pay: the simulator on two machines, or a table.

Park et al., "Faster CNNs with Direct Sparse Convolutions and Guided Pruning", ICLR 2017,
arXiv:1608.01409, Sec. 2.3: a model of performance says how sparse a layer must be.
"""

import csv
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from torch import Tensor, nn

from hwsim.errors import InputError
from hwsim.frontends.torch import network_from_torch, with_densities
from hwsim.hardware import Accelerator
from hwsim.objective import Objective, value
from hwsim.simulate import simulate
from hwsim.workload import Layer, Network

HALVINGS = 6  # the density to 1/64
IMAGES = 16  # that tell how many activations are zero


def workload(
    model: nn.Module, layers: Iterable[str], images: Tensor, machine: Accelerator
) -> Network:
    """The layers at these paths, with the zeros of their activations, in the machine's words."""
    whole = network_from_torch(model, (images[:1],), name=type(model).__name__)
    whole = with_densities(whole, model, images[:IMAGES])
    mac = machine.mac
    bits = {"ifmap": mac.ifmap_bits, "weight": mac.weight_bits, "ofmap": mac.ifmap_bits}
    found = (whole[path].at_bits(**bits, psum=mac.psum_bits) for path in layers)
    return Network(whole.name, tuple(found))


def prices(
    network: Network, densities: Mapping[str, float], machine: Accelerator, objective: Objective
) -> dict[str, float]:
    """What each layer costs with so dense weights, under the objective."""
    layers = tuple(at_density(layer, densities[layer.name]) for layer in network)
    result = simulate(Network(network.name, layers), machine, objective=objective)
    return {
        one.layer.name: value(objective, one.cost.energy_pj, one.cost.cycles)
        for one in result.layers
    }


def at_density(layer: Layer, density: float) -> Layer:
    """The layer with so dense weights, wherever their zeros are."""
    return replace(layer, weight=replace(layer.weight, density=density, zeros=None))


def break_even(
    network: Network, sparse: Accelerator, dense: Accelerator, objective: Objective
) -> dict[str, float]:
    """The largest density, to 1/64, at which each layer costs less on `sparse` than on `dense`.

    0 where none does. Costs never fall as density grows, so that halving finds where they cross.
    """
    full = dict.fromkeys((layer.name for layer in network), 1.0)
    limits = prices(network, full, dense, objective)
    if_full = prices(network, full, sparse, objective)
    low, high = dict.fromkeys(full, 0.0), dict(full)
    for _ in range(HALVINGS):
        middle = {name: (low[name] + high[name]) / 2 for name in full}
        found = prices(network, middle, sparse, objective)
        for name, density in middle.items():
            (low if found[name] < limits[name] else high)[name] = density
    return {name: 1.0 if if_full[name] < limits[name] else low[name] for name in full}


def read_break_even(path: Path) -> dict[str, float]:
    """Densities by layer from a CSV file with the columns layer and density. Raises InputError."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return {row["layer"]: float(row["density"]) for row in csv.DictReader(file)}
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: must have columns layer and density: {error}") from error
