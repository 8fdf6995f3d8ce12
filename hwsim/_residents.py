"""Which ofmaps of a network may stay on chip, together with which others, when, and in what room.

An ofmap may stay where every layer that reads it does so as its ifmap, whole and unchanged, and
nothing else has it for output. A layer whose ifmap is made of several ofmaps (a residual sum, a
concatenation) has it in one place: they stay together or not at all.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import networkx

from hwsim.hardware import Accelerator, Memory
from hwsim.simulate import accumulated, fused_into
from hwsim.workload import Layer, Network


@dataclass(frozen=True, kw_only=True)
class Resident:
    """An ofmap that may stay, from the layer that makes it to the last one that reads it.

    While it is made it may hold psums of `made_bits` in all; afterwards it takes `held_bits`.
    `first` and `last` count the layers that move data, in order of execution.
    """

    producer: str
    consumers: tuple[str, ...]
    made_bits: int
    held_bits: int
    first: int
    last: int

    def room_bits(self, step: int) -> int:
        """What it takes of the buffer while layer `step` runs."""
        if not self.first <= step <= self.last:
            return 0
        return max(self.made_bits, self.held_bits) if step == self.first else self.held_bits


Family = tuple[Resident, ...]


@dataclass(frozen=True)
class Flow:
    """A network as its layers that move data, the others riding on them."""

    network: Network
    machine: Accelerator

    @cached_property
    def carriers(self) -> dict[str, str]:
        """By layer, the one that moves its data: itself, or the producer that it rides on."""
        found: dict[str, str] = {}
        for name in networkx.topological_sort(self.network.graph):
            producer = fused_into(self.network, self.network[name], self.machine)
            found[name] = found[producer] if producer else name
        return found

    @cached_property
    def layers(self) -> dict[str, Layer]:
        """The layers that move data, by name, in order of execution."""
        return {
            layer.name: accumulated(layer, self.machine)
            for layer in self.network
            if self.carriers[layer.name] == layer.name
        }

    @cached_property
    def producers(self) -> dict[str, tuple[str, ...]]:
        """By layer that moves data, whose ofmaps it reads, once for each edge."""
        return {
            name: tuple(self.carriers[before] for before in self.network.graph.predecessors(name))
            for name in self.layers
        }

    def consumers(self, name: str) -> tuple[str, ...]:
        """The layers that read an ofmap, in order of execution."""
        return tuple(reader for reader in self.layers if name in self.producers[reader])

    def given_out(self, name: str) -> bool:
        """Whether an ofmap, or what a rider makes of it, is an output of the network."""
        riders = [layer for layer, carrier in self.carriers.items() if carrier == name]
        return any(self.network.graph.out_degree(layer) == 0 for layer in riders)

    def families(self, memory: Memory) -> tuple[Family, ...]:
        """The ofmaps that may stay in a memory of ifmaps and ofmaps, grouped as they must be."""
        graph: networkx.Graph[str] = networkx.Graph()
        graph.add_nodes_from(self.layers)
        for readers in self.producers.values():
            graph.add_edges_from(pairwise(readers))
        groups = (
            [name for name in self.layers if name in group]
            for group in networkx.connected_components(graph)
        )
        return tuple(
            tuple(self._resident(name, memory) for name in group)
            for group in groups
            if all(self._may_stay(name) for name in group)
        )

    def _may_stay(self, name: str) -> bool:
        given_out = self.given_out(name)
        return not given_out and all(self._reads_whole(reader) for reader in self.consumers(name))

    def _reads_whole(self, name: str) -> bool:
        """Whether a layer's ifmap is just what its producers make."""
        layer, producers = self.layers[name], self.producers[name]
        if layer.weighted and len(producers) > 1:
            return False
        made = sum(self.layers[producer].words("ofmap") for producer in producers)
        return made == layer.words("ifmap")

    def _resident(self, name: str, memory: Memory) -> Resident:
        layer, readers = self.layers[name], self.consumers(name)
        order = list(self.layers)
        return Resident(
            producer=name,
            consumers=readers,
            made_bits=layer.words("ofmap") * memory.element_bits(layer.psum.bits),
            held_bits=max(
                self._held_bits(layer, self.layers[reader], memory) for reader in readers
            ),
            first=order.index(name),
            last=max(order.index(reader) for reader in readers),
        )

    def _held_bits(self, layer: Layer, reader: Layer, memory: Memory) -> int:
        """Room for an ofmap, with the zeros around it where the machine keeps them like data."""
        rows, columns = layer.P, layer.Q
        if self.machine.stores_padding and (reader.H, reader.W) == (layer.P, layer.Q):
            rows, columns = rows + 2 * reader.pad_h, columns + 2 * reader.pad_w
        bits = memory.element_bits(max(layer.ofmap.bits, reader.ifmap.bits))
        return layer.N * layer.G * layer.K * rows * columns * bits
