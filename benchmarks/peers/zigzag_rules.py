"""Energy and latency of a mapping by ZigZag's rules, on a machine as ZigZag describes it.

Energy is word accesses times energy per access; a word is what a port takes at once. A MAC costs
the same at every precision; wires and adder trees cost nothing. Latency: see `zigzag_time`.
"""

from dataclasses import dataclass
from math import ceil

from benchmarks.peers.zigzag_flow import Flow, Key, Operand, flows, operands
from benchmarks.peers.zigzag_machine import Machine, Way
from benchmarks.peers.zigzag_time import Time, latency
from hwsim.interchange.zigzag import ZigZagMapping
from hwsim.workload import Layer


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What ZigZag would say of a mapping. `accesses` and `energies_pj`: by (tensor, memory, way),
    memory 0 being the innermost of that tensor.
    """

    mac_pj: float
    accesses: dict[Key, int]
    energies_pj: dict[Key, float]
    time: Time

    @property
    def energy_pj(self) -> float:
        """MACs and memories."""
        return self.mac_pj + sum(self.energies_pj.values())

    @property
    def edp(self) -> float:
        """pJ x cycles."""
        return self.energy_pj * self.time.cycles


def judge(layer: Layer, nest: ZigZagMapping, machine: Machine) -> Verdict:
    """Energy and latency of a nest, whose axes bear the machine's names."""
    averaged = operands(layer, nest, machine, whole=False)
    accesses = {
        key: _accesses(averaged[key[0]], key, flow, machine)
        for key, flow in flows(averaged).items()
    }
    return Verdict(
        mac_pj=machine.mac_pj * layer.macs,
        accesses=accesses,
        energies_pj={key: count * _access_pj(machine, key) for key, count in accesses.items()},
        time=latency(averaged, operands(layer, nest, machine, whole=True), machine),
    )


def _accesses(nest: Operand, key: Key, flow: Flow, machine: Machine) -> int:
    tensor, memory, way = key
    port = machine.memories[tensor][memory].port(tensor, way)
    assert port is not None, key
    words = ceil(flow.elements * flow.bits / port.least_bits) * (port.least_bits / port.bits)
    return int(words * flow.count * nest.copies(memory))


def _access_pj(machine: Machine, key: Key) -> float:
    tensor, memory, way = key
    buffer = machine.memories[tensor][memory]
    return buffer.read_pj if way in (Way.READ_DOWN, Way.READ_UP) else buffer.write_pj
