"""What a nest moves by ZigZag's rules: how much, how often, within which window.

Its rules, as its version 3.9.1 computes them. A tile is refetched whole whenever a loop above its
memory advances that is not irrelevant to it: sliding windows are sent again. Loops irrelevant to an
operand that lie innermost in a memory belong to the next memory inwards, whose tile they leave as
it is. Every copy of a tile below an array is written; one read serves them all, and psums are added
on the way for nothing. Psums go in and out with every period, the first zero read included.
Element counts are products of factors, averaged spatial ones for energy, truncated for time.
"""

from collections.abc import Mapping as MappingType
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from math import gcd, prod

from benchmarks.peers.zigzag_machine import Machine, Way
from hwsim.interchange.zigzag import Factors, ZigZagMapping
from hwsim.workload import RELEVANT, Layer

Key = tuple[str, int, Way]

ORDER = ("ofmap", "weight", "ifmap")
IRRELEVANT = {
    "ifmap": frozenset("K"),
    "weight": frozenset("NPQ"),
    "ofmap": frozenset("CRS"),
}
# Dimensions that change a tensor's tile one for one; rows and columns of the ifmap slide.
PLAIN = {
    "ifmap": frozenset("NGC"),
    "weight": RELEVANT["weight"],
    "ofmap": RELEVANT["ofmap"],
}


@dataclass(frozen=True)
class Flow:
    """A tensor passing a memory one way: `elements` of `bits` each, `count` times, per instance.

    It may take the whole `period` (cycles) where the receiving tile is double-buffered, else the
    `window`; `mean_bits` is what it needs a cycle on average, a whole number.
    """

    elements: int
    bits: int
    period: int
    count: int
    window: int
    mean_bits: int


@dataclass(frozen=True)
class Operand:
    """One tensor's nest: temporal factors by memory, and spatial ones below each and above all."""

    layer: Layer
    tensor: str
    temporal: tuple[Factors, ...]
    spatial: tuple[Factors, ...]

    def tile(self, memories: int) -> int:
        """Elements in an instance of the last of the first `memories` memories."""
        pairs = zip(self.temporal[:memories], self.spatial[:memories], strict=True)
        return round(self.elements([factor for pair in pairs for factor in chain(*pair)]))

    def elements(self, factors: Sequence[tuple[str, float]]) -> float:
        """Elements that a nest of these factors touches."""
        sizes: dict[str, float] = dict.fromkeys("NGKCPQRS", 1)
        for dim, factor in factors:
            sizes[dim] *= factor
        words = prod(sizes[dim] for dim in PLAIN[self.tensor])
        if self.tensor != "ifmap":
            return words
        layer = self.layer
        rows = _window(int(sizes["P"]), int(sizes["R"]), layer.stride_h, layer.dilation_h)
        columns = _window(int(sizes["Q"]), int(sizes["S"]), layer.stride_w, layer.dilation_w)
        return words * min(rows, layer.H) * min(columns, layer.W)

    def cycles(self, memories: int) -> int:
        """Cycles that a tile of the last of the first `memories` memories stays."""
        if memories == 0 and self.tensor != "ofmap":
            return int(prod(factor for _, factor in _resting(self.temporal[0], self.tensor)))
        return int(prod(factor for loops in self.temporal[:memories] for _, factor in loops))

    def copies(self, memory: int) -> int:
        """Instances of a memory."""
        spread = chain.from_iterable(self.spatial[memory + 1 :])
        return round(round(prod(factor for _, factor in spread), 3))

    def fanout(self, memory: int) -> int:
        """Different tiles below one instance of a memory."""
        if memory == len(self.temporal):
            return 1
        inside = list(chain.from_iterable(self.spatial[:memory]))
        return round(self.elements([*inside, *self.spatial[memory]]) / self.elements(inside))

    def partial(self, memory: int) -> bool:
        """Whether psums pass between this memory and what lies below it (the MACs, for 0)."""
        loops = chain(*self.temporal[memory:], *self.spatial[memory + 1 :])
        return any(dim in IRRELEVANT["ofmap"] and factor > 1 for dim, factor in loops)

    def bits(self, memory: int) -> int:
        """Bits of an element as it passes below a memory."""
        if self.tensor != "ofmap":
            return self.layer.tensor(self.tensor).bits
        return self.layer.psum.bits if self.partial(memory) else self.layer.ofmap.bits

    def top(self, memories: int, dims: frozenset[str]) -> int:
        """The product of a memory's outermost loops, as long as they are of these dimensions."""
        if memories == 0:
            return 1
        found = 1
        for dim, factor in reversed(self.temporal[memories - 1]):
            if dim not in dims:
                break
            found *= int(factor)
        return found


def _window(tile: int, window: int, stride: int, dilation: int) -> int:
    """Distinct rows, by ZigZag's closed form, which is exact from one whole stride on."""
    shared = gcd(stride, dilation)
    return tile * window - max(0, window - stride // shared) * (tile - dilation // shared)


def _resting(loops: Factors, tensor: str) -> Factors:
    """The innermost loops, as long as they leave a tile alone."""
    count = 0
    while count < len(loops) and loops[count][0] in IRRELEVANT[tensor]:
        count += 1
    return loops[:count]


def stationary(memories: tuple[Factors, ...], tensor: str) -> tuple[Factors, ...]:
    """Loops handed to the next memory inwards where they lie innermost and leave its tile alone."""
    found = list(memories)
    for memory in range(1, len(found)):
        handed = _resting(found[memory], tensor)
        found[memory] = found[memory][len(handed) :]
        below = memory - 1
        while below and not found[below]:
            below -= 1
        found[below] += handed
    return tuple(found)


def operands(
    layer: Layer, nest: ZigZagMapping, machine: Machine, *, whole: bool
) -> dict[str, Operand]:
    """Every tensor's nest; `whole` truncates averaged spatial factors."""
    spatial = {
        axis: tuple((dim, int(factor) if whole else factor) for dim, factor in factors)
        for axis, factors in nest.spatial.items()
    }
    return {
        tensor: Operand(
            layer,
            tensor,
            stationary(nest.temporal[tensor], tensor),
            tuple(
                tuple(chain.from_iterable(spatial.get(axis, ()) for axis in axes))
                for axes in machine.served(tensor)
            ),
        )
        for tensor in ORDER
        if tensor in nest.temporal
    }


def flows(nests: MappingType[str, Operand]) -> dict[Key, Flow]:
    """All flows, but for those beyond the outermost memory."""
    found = {}
    for tensor, nest in nests.items():
        for memory in range(len(nest.temporal)):
            for way in _ways(nest, memory):
                found[tensor, memory, way] = _flow(nest, memory, way)
    return found


def _ways(nest: Operand, memory: int) -> list[Way]:
    """Which ways a tensor passes a memory."""
    outermost = memory == len(nest.temporal) - 1
    if nest.tensor != "ofmap":
        return [Way.READ_DOWN] if outermost else [Way.READ_DOWN, Way.WRITE_DOWN]
    ways = [Way.WRITE_UP, *([Way.READ_DOWN] if nest.partial(memory) else [])]
    if not outermost:
        ways += [Way.READ_UP, *([Way.WRITE_DOWN] if nest.partial(memory + 1) else [])]
    return ways


def _flow(nest: Operand, memory: int, way: Way) -> Flow:
    end = memory if way.inner else memory + 1
    fanout = nest.fanout(memory) if way.inner else 1
    tile, cycles, bits = nest.tile(end), nest.cycles(end), nest.bits(end)
    return Flow(
        elements=tile * fanout,
        bits=bits,
        period=cycles,
        count=nest.cycles(len(nest.temporal)) // cycles,
        window=int(cycles / nest.top(end, IRRELEVANT[nest.tensor])),
        mean_bits=int(tile * bits / cycles * fanout),
    )
