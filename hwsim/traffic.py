"""What a mapping moves, in bits: through which memory's ports, and over which NoC."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import inf, prod

from hwsim.hardware import Accelerator, Array, Memory
from hwsim.mapping import Mapping, kept_bits, tile_words
from hwsim.reuse import MAC, Link, access_counts
from hwsim.sparsity import tensor_bits
from hwsim.workload import Layer, Storage


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """One link between two memories, or a memory and the MACs (`child` is None).

    `parent_word_bits` and `child_word_bits`: what a word takes at either end; `psum_bits`: an
    unfinished ofmap's at the parent, where `finished` words are more than that in the end;
    `word_bits`: a word's own; `code_bits`: in a code that the child keeps as it comes.
    `tile_words` are those of an instance's largest tile, `first_words` those of all instances'
    first tiles, each once where they share it. `into_pe`: the child is a pad or the MAC itself;
    `above_child` loops come before it keeps its tile.
    """

    link: Link
    parent: Memory
    child: Memory | None
    parent_instances: int
    child_instances: int
    above_child: int
    into_pe: bool
    arrays: tuple[Array, ...]
    parent_word_bits: float
    child_word_bits: float
    psum_bits: float
    finished: int
    word_bits: int
    code_bits: float
    tile_words: int
    first_words: int

    @property
    def tensor(self) -> str:
        """The tensor that moves."""
        return self.link.tensor

    @property
    def leaves(self) -> bool:
        """Whether the tensor is made by the MACs, and its tiles are on their way out."""
        return self.tensor == "ofmap"

    @property
    def parent_read_bits(self) -> float:
        """Bits read from the parent's instances, all together."""
        return self.link.reads * self.psum_bits

    @property
    def parent_write_bits(self) -> float:
        """Bits written to them."""
        unfinished = self.link.writes - self.finished
        return self.finished * self.parent_word_bits + unfinished * self.psum_bits

    @property
    def child_read_bits(self) -> float:
        """Bits read from the child's instances, all together."""
        return self.link.collected * self.child_word_bits

    @property
    def child_write_bits(self) -> float:
        """Bits written to them."""
        return self.link.delivered * self.child_word_bits

    @property
    def noc_words(self) -> int:
        """Words delivered to instances, and psums passed to a neighbour that adds its own."""
        return self.link.delivered + self.link.collected - self.link.writes

    def wire_bits(self, array: Array) -> float:
        """Bits that a word takes on an array's wires; codes travel packed."""
        return min(array.word_bits(self.word_bits), self.code_bits)

    def waited(self, starts: int) -> "Transfer":
        """What the rest waits for, when the pipeline starts so many times: the first tiles in each
        time, or an ofmap's last tiles, read back and out. PEs finish a tile's psums one by one, and
        half are taken to have left when the last one is done."""
        link, halves = self.link, 1 if self.leaves and self.into_pe else 2
        words = -(-halves * starts * self.first_words // 2)
        instance_words = -(-halves * starts * self.tile_words * self.child_instances // 2)
        tiles = Link(
            link.tensor,
            link.parent,
            link.child,
            reads=min(words, link.reads),
            delivered=min(instance_words, link.delivered),
            collected=min(instance_words, link.collected),
            writes=min(words, link.writes),
        )
        return replace(self, link=tiles, finished=tiles.writes)


def transfers(layer: Layer, mapping: Mapping, machine: Accelerator) -> tuple[Transfer, ...]:
    """Every link of every tensor, outermost first."""
    trips = zip(mapping.loops, mapping.trips(layer), strict=True)
    spread = [n if loop.axis else 1 for loop, n in trips]
    links = iter(
        access_counts(layer, mapping, shared=machine.shared, padding=machine.stores_padding)
    )
    return tuple(
        _transfer(layer, mapping, machine, next(links), spread, parent[1], child[1])
        for tensor in layer.tensors
        for parent, child in pairwise((*mapping.stores(tensor), (MAC, len(mapping.loops))))
    )


def _transfer(
    layer: Layer,
    mapping: Mapping,
    machine: Accelerator,
    link: Link,
    spread: Sequence[int],
    above_parent: int,
    above_child: int,
) -> Transfer:
    parent = machine.level(link.parent).memory(link.tensor)
    child = None if link.child == MAC else machine.level(link.child).memory(link.tensor)
    assert parent is not None
    at_home = link.parent == machine.home(link.tensor)
    parent_bits, psum_bits = _parent_bits(layer, link, parent, at_home=at_home)
    tile = mapping.tile(layer, above_child)
    shared = {
        index: loop.dim
        for index, loop in enumerate(mapping.loops[:above_child])
        if index >= above_parent and loop.axis and link.tensor in machine.shared[loop.axis]
    }
    return Transfer(
        link=link,
        parent=parent,
        child=child,
        parent_instances=prod(spread[:above_parent]),
        child_instances=prod(spread[:above_child]),
        above_child=above_child,
        into_pe=child is None or machine.level(link.child).component == "spad",
        arrays=_arrays(machine, link),
        parent_word_bits=parent_bits,
        child_word_bits=_child_bits(layer, link, child),
        psum_bits=psum_bits,
        finished=layer.words("ofmap") if link.tensor == "ofmap" else 0,
        word_bits=layer.psum.bits if link.tensor == "ofmap" else layer.tensor(link.tensor).bits,
        code_bits=code_bits(layer, child, link.tensor),
        tile_words=tile_words(layer, link.tensor, tile),
        first_words=_first_words(layer, link.tensor, tile, spread[:above_child], shared),
    )


def _parent_bits(layer: Layer, link: Link, parent: Memory, *, at_home: bool) -> tuple[float, float]:
    """Bits of a word in the parent, and of one that is not finished. An ofmap at home is finished,
    of its own width."""
    if link.tensor != "ofmap":
        bits = coded_bits(layer, parent, link.tensor)
        return bits, bits
    psum_bits = float(kept_bits(layer, parent, "ofmap"))
    return (coded_bits(layer, parent, "ofmap") if at_home else psum_bits), psum_bits


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
    plain = tensor_bits(memory.formats.get(tensor, Storage.DENSE), layer, tensor, bits=bits)
    return min(plain, code_bits(layer, memory, tensor))


def code_bits(layer: Layer, memory: Memory | None, tensor: str) -> float:
    """Bits an element of the shortest of a tensor's own codes that a memory can hold, or infinite.
    MACs hold none."""
    return memory.code_bits(layer, tensor) if memory else inf


def _first_words(
    layer: Layer,
    tensor: str,
    tile: dict[str, int],
    spread: Sequence[int],
    shared: dict[int, str],
) -> int:
    """Words that a link carries for the first tiles, once where instances share them: those of the
    `shared` loops, by index, work on one larger tile."""
    joint, copies = dict(tile), 1
    for index, places in enumerate(spread):
        if index in shared:
            dim = shared[index]
            joint[dim] = min(joint[dim] * places, layer.bounds[dim])
        else:
            copies *= places
    return copies * tile_words(layer, tensor, joint)


def _arrays(machine: Accelerator, link: Link) -> tuple[Array, ...]:
    """The arrays that lie between the two ends of a link."""
    outer = machine.depth(link.parent)
    inner = len(machine.hierarchy) if link.child == MAC else machine.depth(link.child)
    return tuple(part for part in machine.hierarchy[outer:inner] if isinstance(part, Array))
