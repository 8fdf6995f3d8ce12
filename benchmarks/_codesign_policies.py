"""What decides which compression each layer gets: a cost in place of energy, or one rule for all.

All policies choose among the same candidates by the same trials on the same images, under the same
budget of accuracy, with as many composed networks measured. They differ in what they take a layer's
energy for.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from compressors.codesign import Cost, Simulator
from hwsim.hardware import load_machine
from hwsim.workload import Layer

SIMULATED, UNIFORM = "simulated energy", "uniform"


@dataclass(frozen=True)
class Proxy:
    """A cost that knows no machine: `count` of a layer, in place of pJ and ms."""

    name: str
    count: Callable[[Layer], float]

    def __call__(self, layer: Layer) -> Cost:
        number = self.count(layer) if layer.weighted else 0.0
        return Cost(energy_pj=number, latency_ms=number)

    @property
    def key(self) -> str:
        """What tells it apart where costs are kept."""
        return f"proxy {self.name}"


def weight_share(layer: Layer) -> float:
    """The share of weights that are not zero."""
    zeros = layer.weight.zeros
    return zeros.density if zeros else layer.weight.density


def parameters(layer: Layer) -> float:
    """Bits of the weights that are not zero."""
    return layer.words("weight") * layer.weight.bits * weight_share(layer)


def macs(layer: Layer) -> float:
    """Multiply-accumulates by weights that are not zero, and where equal, fewer bits."""
    return layer.macs * weight_share(layer) * (1 + 1e-6 * layer.weight.bits)


def bit_operations(layer: Layer) -> float:
    """Those, times the bits of both operands (Baskin et al., UNIQ, arXiv:1804.10969)."""
    return layer.macs * weight_share(layer) * layer.weight.bits * layer.ifmap.bits


PROXIES: Mapping[str, Proxy] = {
    name: Proxy(name, count)
    for name, count in (
        ("parameters", parameters),
        ("MACs", macs),
        ("bit operations", bit_operations),
    )
}


def simulator(machine: str) -> Simulator:
    """The machine's own costs, each layer under its mapping of least energy."""
    return Simulator(machine=load_machine(machine), objective="energy")
