"""What a mapping moves, in bits: through which memory's ports, and over which NoC."""

from dataclasses import dataclass
from itertools import pairwise
from math import prod

from hwsim.hardware import Accelerator, Array, Memory
from hwsim.mapping import Mapping, kept_bits, tile_words
from hwsim.reuse import MAC, Link, access_counts
from hwsim.sparsity import tensor_bits
from hwsim.workload import Layer, Storage


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """One link between two memories, or a memory and the MACs (`child` is None).

    Bits are totals over all instances. `noc_words` is each word once per array instance it reaches
    or passes; `bus_words` each word once, in the busier direction. `into_pe`: the child is a pad or
    the MAC itself; `above_child` loops come before it keeps its tile. `pipeline_share` is how much
    of the transfer the rest waits for: the first tile in, or an ofmap's last tile out.
    """

    link: Link
    parent: Memory
    child: Memory | None
    parent_instances: int
    child_instances: int
    above_child: int
    into_pe: bool
    arrays: tuple[Array, ...]
    parent_read_bits: float
    parent_write_bits: float
    child_read_bits: float
    child_write_bits: float
    noc_words: int
    bus_words: int
    word_bits: int
    pipeline_share: float

    @property
    def tensor(self) -> str:
        """The tensor that moves."""
        return self.link.tensor


def transfers(layer: Layer, mapping: Mapping, machine: Accelerator) -> tuple[Transfer, ...]:
    """Every link of every tensor, outermost first."""
    links = iter(
        access_counts(layer, mapping, shared=machine.shared, padding=machine.stores_padding)
    )
    return tuple(
        _transfer(layer, mapping, machine, next(links), parent[1], child[1])
        for tensor in layer.tensors
        for parent, child in pairwise((*mapping.stores(tensor), (MAC, len(mapping.loops))))
    )


def _transfer(
    layer: Layer,
    mapping: Mapping,
    machine: Accelerator,
    link: Link,
    above_parent: int,
    above_child: int,
) -> Transfer:
    parent = machine.level(link.parent).memory(link.tensor)
    child = None if link.child == MAC else machine.level(link.child).memory(link.tensor)
    assert parent is not None
    at_home = link.parent == machine.home(link.tensor)
    read_bits, write_bits = _parent_bits(layer, link, parent, at_home=at_home)
    child_bits = _child_bits(layer, link, child)
    instances = _instances(layer, mapping)
    moved = link.writes + link.reads
    first = _first_words(layer, mapping, machine, link.tensor, above_parent, above_child)
    return Transfer(
        link=link,
        parent=parent,
        child=child,
        parent_instances=instances[above_parent],
        child_instances=instances[above_child],
        above_child=above_child,
        into_pe=child is None or machine.level(link.child).component == "spad",
        arrays=_arrays(machine, link),
        parent_read_bits=read_bits,
        parent_write_bits=write_bits,
        child_read_bits=link.collected * child_bits,
        child_write_bits=link.delivered * child_bits,
        noc_words=_noc_words(link),
        bus_words=max(link.reads, link.writes),
        word_bits=layer.psum.bits if link.tensor == "ofmap" else layer.tensor(link.tensor).bits,
        pipeline_share=min(1.0, first / moved) if moved else 0.0,
    )


def _parent_bits(layer: Layer, link: Link, parent: Memory, *, at_home: bool) -> tuple[float, float]:
    """Bits read from and written to the parent. An ofmap at home is finished, of its own width."""
    if link.tensor != "ofmap":
        return link.reads * coded_bits(layer, parent, link.tensor), 0.0
    psum_bits = kept_bits(layer, parent, "ofmap")
    if not at_home:
        return link.reads * psum_bits, link.writes * psum_bits
    finished = layer.words("ofmap")
    unfinished = link.writes - finished
    return (
        link.reads * psum_bits,
        finished * coded_bits(layer, parent, "ofmap") + unfinished * psum_bits,
    )


def _child_bits(layer: Layer, link: Link, child: Memory | None) -> float:
    """Bits that an element takes in the child; psums are not coded."""
    if child is None:
        return 0.0
    if link.tensor == "ofmap":
        return kept_bits(layer, child, "ofmap")
    return coded_bits(layer, child, link.tensor)


def coded_bits(layer: Layer, memory: Memory, tensor: str) -> float:
    """Bits that an element takes in a memory that may code the tensor, the mean of all of it."""
    bits = memory.element_bits(layer.tensor(tensor).bits)
    return tensor_bits(memory.formats.get(tensor, Storage.DENSE), layer, tensor, bits=bits)


def _first_words(
    layer: Layer,
    mapping: Mapping,
    machine: Accelerator,
    tensor: str,
    above_parent: int,
    above_child: int,
) -> int:
    """Words that a link carries for the first tiles, once where instances share them."""
    extent, copies = mapping.tile(layer, above_child), 1
    spread = zip(mapping.loops[:above_child], mapping.trips(layer), strict=False)
    for index, (loop, trips) in enumerate(spread):
        if loop.axis and index >= above_parent and tensor in machine.shared[loop.axis]:
            extent[loop.dim] = min(extent[loop.dim] * trips, layer.bounds[loop.dim])
        elif loop.axis:
            copies *= trips
    return copies * tile_words(layer, tensor, extent)


def _noc_words(link: Link) -> int:
    """Words delivered to instances, and psums passed to a neighbour that adds its own."""
    return link.delivered + link.collected - link.writes


def _arrays(machine: Accelerator, link: Link) -> tuple[Array, ...]:
    """The arrays that lie between the two ends of a link."""
    outer = machine.depth(link.parent)
    inner = len(machine.hierarchy) if link.child == MAC else machine.depth(link.child)
    return tuple(part for part in machine.hierarchy[outer:inner] if isinstance(part, Array))


def _instances(layer: Layer, mapping: Mapping) -> list[int]:
    """Instances busy below the first 0, 1, 2, ... loops."""
    trips = mapping.trips(layer)
    spatial = [n if loop.axis else 1 for n, loop in zip(trips, mapping.loops, strict=True)]
    return [prod(spatial[:count]) for count in range(len(spatial) + 1)]
