"""A walk of the loop nest, element by element: slow, short, and the judge of `hwsim.reuse`.

**Time.** Temporal loops advance like the digits of an odometer, the innermost fastest, in step for
the whole machine. How many tiles a temporal loop has at a moment is decided by the instance that
comes first on every axis, which always has the most left to do.

**Space.** A spatial loop gives its i-th tile to the i-th instance. There are as many instances as
the loop has tiles at its largest; one whose tile is empty at a moment idles.

**Links.** A tensor passes from each memory that keeps it to the next, and from the last to the MAC.
The loops before the child's store are outside it. Their indices say which child instance is meant,
and which elements it holds: those that the loops inside, walked from there, touch.

A memory's tile changes with the tensor's own dimensions alone. The innermost temporal loop above it
that goes through one of these, and is ever past its first index, turns the tile over. Whenever that
loop or one outside it has advanced, a tile is sent: but for what the memory holds where the loop is
past its first index, or else whole, for a controller knows nothing of what came before it started
again. While loops further inside advance nothing is sent. A memory that belongs to a multicast
group gets what the group gets although its MACs may idle. A MAC holds nothing between steps, and
needs nothing where it idles.

Over a shared axis one transfer serves all instances that need an element at the same step, and
psums of one element are added up on their way out. Other axes count each instance.

**Psums** that a memory works on leave it once each. The parent takes what is left after adding up,
and gives back what it had of them: all but the first visit of each element to a parent instance.

**Padding** is fetched like data, or else exists in no memory: a MAC makes the zero up itself, and
counts it among the operands delivered to it.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise, product

from hwsim.mapping import Loop, Mapping
from hwsim.reuse import Link
from hwsim.workload import RELEVANT, Layer

MAC = "MAC"
Indices = tuple[int, ...]
Ranges = dict[str, range]
Element = tuple[int, ...]
Shared = dict[str, frozenset[str]]


def walk(layer: Layer, mapping: Mapping, *, shared: Shared, padding: bool) -> list[Link]:
    """Every link's words. `shared` names, by axis, the tensors whose transfers are shared on it."""
    links = []
    for tensor in layer.tensors:
        keepers = (*mapping.stores(tensor), (MAC, len(mapping.loops)))
        for (parent, above), (child, below) in pairwise(keepers):
            between = range(above, below)
            own = [i for i in between if tensor not in shared.get(mapping.loops[i].axis or "", ())]
            count = _Count(tensor, keeps=child != MAC, above=above, own=own)
            count.walk(layer, mapping.loops[:below], padding=padding)
            links.append(count.link(parent, child, operands=layer.operands))
    return links


def compute_steps(layer: Layer, mapping: Mapping) -> int:
    """Time steps of the whole machine."""
    return sum(1 for _ in moments(mapping.loops, whole(layer)))


def total_macs(layer: Layer, mapping: Mapping) -> int:
    """Points of the nest that some instance works on at some step."""
    places = instances(layer, mapping.loops)
    return sum(
        all(narrow(layer, mapping.loops, added(moment, place)).values())
        for moment in moments(mapping.loops, whole(layer))
        for place in places
    )


@dataclass
class _Count:
    """The words that pass over one link of one tensor.

    The first `above` indices tell parent instances apart; `own` are the loops between parent and
    child, shared axes left out, so that both together tell transfers apart.
    """

    tensor: str
    keeps: bool
    above: int
    own: Sequence[int]
    needed: int = 0
    carried: int = 0
    visited: dict[Indices, set[Element]] = field(default_factory=lambda: defaultdict(set))

    def walk(self, layer: Layer, loops: Sequence[Loop], *, padding: bool) -> None:
        places = instances(layer, loops)
        held: dict[Indices, set[Element]] = {place: set() for place in places}
        for moment, goes_on in self.sendings(layer, loops):
            carried: dict[tuple[Indices, Indices], set[Element]] = defaultdict(set)
            for place in places:
                ranges = narrow(layer, loops, added(moment, place))
                if not self.keeps and not all(ranges.values()):
                    continue
                tile = elements(layer, self.tensor, ranges, padding=padding)
                new = tile - held[place] if goes_on else tile
                self.needed += len(new) if self.keeps else 1
                parent = place[: self.above]
                carried[parent, tuple(place[i] for i in self.own)] |= new
                self.visited[parent] |= new
                held[place] = tile
            self.carried += sum(map(len, carried.values()))

    def sendings(self, layer: Layer, loops: Sequence[Loop]) -> Iterator[tuple[Indices, bool]]:
        """The moments at which something is sent, and whether the sender goes on from the last."""
        steps = list(moments(loops, whole(layer)))
        if not self.keeps:
            yield from ((moment, False) for moment in steps)
            return
        turning = [
            i
            for i, loop in enumerate(loops)
            if loop.dim in RELEVANT[self.tensor] and any(moment[i] for moment in steps)
        ]
        last = max(turning, default=-1)
        yield steps[0], False
        for before, moment in pairwise(steps):
            if before[: last + 1] != moment[: last + 1]:
                yield moment, moment[last] > 0

    def link(self, parent: str, child: str, *, operands: int) -> Link:
        if self.tensor == "ofmap":
            back = self.carried - sum(map(len, self.visited.values()))
            return Link("ofmap", parent, child, back, back, self.needed, self.carried)
        times = operands if self.tensor == "ifmap" else 1
        return Link(self.tensor, parent, child, times * self.carried, times * self.needed, 0, 0)


def whole(layer: Layer) -> Ranges:
    """All of every dimension."""
    return {dim: range(bound) for dim, bound in layer.bounds.items()}


def taken(ranges: Ranges, loop: Loop, index: int) -> Ranges:
    """What tile `index` of a loop leaves; empty beyond the last tile."""
    rest = ranges[loop.dim]
    return ranges | {loop.dim: rest[index * loop.tile : (index + 1) * loop.tile]}


def moments(loops: Sequence[Loop], ranges: Ranges) -> Iterator[Indices]:
    """The temporal loops' indices at each step, in order; spatial loops show 0."""
    if not loops:
        yield ()
        return
    first, rest = loops[0], loops[1:]
    tiles = 1 if first.axis else -(-len(ranges[first.dim]) // first.tile)
    for index in range(tiles):
        for inner in moments(rest, taken(ranges, first, index)):
            yield (index, *inner)


def instances(layer: Layer, loops: Sequence[Loop]) -> list[Indices]:
    """The spatial loops' indices of every instance; temporal loops show 0."""
    ranges, spans = whole(layer), []
    for loop in loops:
        tiles = -(-len(ranges[loop.dim]) // loop.tile)
        spans.append(range(tiles if loop.axis else 1))
        ranges = taken(ranges, loop, 0)
    return list(product(*spans))


def added(moment: Indices, place: Indices) -> Indices:
    """The indices of all loops, from the temporal ones and the spatial ones."""
    return tuple(map(sum, zip(moment, place, strict=True)))


def narrow(layer: Layer, loops: Sequence[Loop], indices: Indices) -> Ranges:
    """What is left of every dimension below the loops, at those indices."""
    ranges = whole(layer)
    for loop, index in zip(loops, indices, strict=True):
        ranges = taken(ranges, loop, index)
    return ranges


def elements(layer: Layer, tensor: str, ranges: Ranges, *, padding: bool) -> set[Element]:
    """The elements of a tensor that the points in `ranges` touch (one operand of several)."""
    if tensor != "ifmap":
        return set(product(*(ranges[dim] for dim in ranges if dim in RELEVANT[tensor])))
    edge_h, edge_w = (layer.pad_h, layer.pad_w) if padding else (0, 0)
    rows = {
        p * layer.stride_h + r * layer.dilation_h - layer.pad_h
        for p, r in product(ranges["P"], ranges["R"])
    }
    columns = {
        q * layer.stride_w + s * layer.dilation_w - layer.pad_w
        for q, s in product(ranges["Q"], ranges["S"])
    }
    rows &= set(range(-edge_h, layer.H + edge_h))
    columns &= set(range(-edge_w, layer.W + edge_w))
    return set(product(ranges["N"], ranges["G"], ranges["C"], rows, columns))


def touched(layer: Layer, tensor: str, *, padding: bool) -> int:
    """Distinct words of a tensor that the layer uses."""
    times = layer.operands if tensor == "ifmap" else 1
    return times * len(elements(layer, tensor, whole(layer), padding=padding))
