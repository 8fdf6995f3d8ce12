"""The program of a network: every state of every layer with its cost, and what ties them.

A layer's cost depends on its own candidate, on the channels that its neighbours lost, and on the
width at which it hands on its ofmap: the widest that one of its readers reads. Pools, activations
and concatenations hand on what they read as it is.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from math import ceil

import networkx

from compressors._ifmap_bits import HANDS_ON
from compressors._lower import psum_bits
from compressors.codesign._clock import Clock
from compressors.codesign._cost import Cost
from compressors.codesign._program import Problem, State, Value
from compressors.codesign._subject import Subject
from compressors.codesign._survey import WHOLE, Dropped, Option, Rate
from hwsim.errors import InputError
from hwsim.workload import Layer

MOST_STATES = 50_000  # of one layer
Price = Callable[[Layer], Cost]
Way = tuple[Option | None, dict[str, str], int]  # an option, the rates around, the width handed on


@dataclass(frozen=True, kw_only=True)
class Space:
    """The problem, and for each layer's state the record that it was priced by."""

    problem: Problem
    dropped: tuple[Dropped, ...]


def group_item(name: str) -> str:
    """The item that stands for the channels of a group."""
    return f"channels of {name}"


def reads(layer: str) -> str:
    """The link of the width at which a layer reads its ifmap."""
    return f"{layer} reads"


def hands_on(layer: str) -> str:
    """The link of the width at which a layer hands on its ofmap."""
    return f"{layer} hands on"


@dataclass
class Builder:
    """Builds the space of a subject from what was found of it.

    `price` raises InputError for a layer that cannot be run; `dropped` is what is out before; what
    will be asked for is told `ahead`.
    """

    subject: Subject
    options: Mapping[str, Mapping[str, Option]]
    rates: Mapping[str, Mapping[str, Rate]]
    price: Price
    clock: Clock
    dropped: list[Dropped]
    ahead: Callable[[Iterable[Layer]], None] | None = None

    def space(self) -> Space:
        """The whole. Raises InputError where nothing is left of a layer."""
        told = self.clock.told(self.subject.layers, "pricing candidates")
        left = {layer: self.undominated(layer) for layer in told}
        read = self.widths_read(left)
        items: dict[str, Sequence[State]] = {
            group_item(name): self.group_states(name) for name in self.rates
        }
        layers = self.subject.network.layers
        ways = {layer.name: self.ways(layer, left.get(layer.name), read) for layer in layers}
        if self.ahead:
            self.ahead(self.record(layer, *way) for layer in layers for way in ways[layer.name])
        for layer in self.clock.told(layers, "pricing layers"):
            items[layer.name] = self.layer_states(layer, ways[layer.name])
        return Space(problem=Problem(items, self.maxima()), dropped=tuple(self.dropped))

    # What is left of the options of a layer

    def undominated(self, layer: str) -> list[Option]:
        """Options that a machine runs and that no other of the same links matches or beats."""
        costs: dict[str, tuple[float, ...]] = {}
        for name, option in self.options[layer].items():
            try:
                found = self.price(option.record)
            except InputError as error:
                self.out(layer, name, str(error))
            else:
                costs[name] = (*self.quantities(option.record, found), self.own_drop(layer, option))
        for name in list(costs):
            better = self.better(layer, name, costs)
            if better:
                self.out(layer, name, f"dominated by {better!r}: no better in anything")
                del costs[name]
        if not costs:
            reasons = "; ".join({one.reason: 0 for one in self.dropped if one.layer == layer})
            raise InputError(f"layer {layer!r}: none of the candidates can be used: {reasons}")
        return [self.options[layer][name] for name in costs]

    def out(self, layer: str, candidate: str, reason: str) -> None:
        """Notes that a layer does not get a candidate."""
        self.dropped.append(Dropped(layer=layer, candidate=candidate, reason=reason))

    def better(self, layer: str, name: str, costs: Mapping[str, tuple[float, ...]]) -> str:
        """Another option with the same links that is nowhere worse, the first of equals."""
        options, own = self.options[layer], costs[name]
        for other, theirs in costs.items():
            if other == name or _links(options[other]) != _links(options[name]):
                continue
            earlier = list(costs).index(other) < list(costs).index(name)
            if all(t <= o for t, o in zip(theirs, own, strict=True)) and (theirs != own or earlier):
                return other
        return ""

    def quantities(self, layer: Layer, found: Cost) -> tuple[float, float, float]:
        """Energy, latency and size."""
        return found.energy_pj, found.latency_ms, float(size_bits(layer))

    def own_drop(self, layer: str, option: Option) -> float:
        """What the option costs in accuracy beyond its group's rate."""
        group = self.subject.group_of(layer)
        already = self.rates[group][option.rate].drop if group and option.rate else 0.0
        return max(0.0, option.drop - already)

    # Widths

    def widths_read(self, left: Mapping[str, Sequence[Option]]) -> dict[str, tuple[int, ...]]:
        """The widths at which each layer may read its ifmap."""
        graph, bits = self.subject.network.graph, self.subject.bits
        read: dict[str, tuple[int, ...]] = {}
        for name in reversed(list(networkx.topological_sort(graph))):
            layer = self.subject.network[name]
            if layer.name in left:
                read[name] = tuple(sorted({o.record.ifmap.bits for o in left[name]}))
            else:
                read[name] = self.widths_handed(name, read) if passes_on(layer) else (bits,)
        return read

    def widths_handed(self, name: str, read: Mapping[str, tuple[int, ...]]) -> tuple[int, ...]:
        """The widths at which a layer may hand on its ofmap."""
        readers = [read[reader] for reader in self.subject.network.graph.successors(name)]
        least = max((min(widths) for widths in readers), default=self.subject.bits)
        wanted = {width for widths in readers for width in widths} or {self.subject.bits}
        return tuple(sorted(width for width in wanted if width >= least))

    def maxima(self) -> dict[str, tuple[str, ...]]:
        """What is handed on is as wide as its widest reader reads."""
        graph = self.subject.network.graph
        found = {name: tuple(map(reads, graph.successors(name))) for name in graph}
        return {hands_on(name): readers for name, readers in found.items() if readers}

    # States

    def group_states(self, name: str) -> list[State]:
        """The rates of a group, and what each costs in accuracy."""
        link = group_item(name)
        rates = {WHOLE: 0.0} | {k: rate.drop for k, rate in self.rates[name].items()}
        return [State({"drop": drop}, {link: key}, key) for key, drop in rates.items()]

    def ways(
        self, layer: Layer, left: Sequence[Option] | None, read: Mapping[str, tuple[int, ...]]
    ) -> list[Way]:
        """Every way that a layer can be. Raises InputError where there are too many."""
        widths = self.widths_handed(layer.name, read)
        around = list(self.surroundings(layer.name, own=left is not None))
        own: Sequence[Option | None] = left or [None]
        count = len(widths) * len(around) * len(own)
        if count > MOST_STATES:
            raise InputError(f"layer {layer.name!r}: {count} states: give fewer rates of channels")
        return [*product(own, around, widths)]

    def layer_states(self, layer: Layer, ways: Iterable[Way]) -> list[State]:
        """A state for each way. Raises InputError where none can be run."""
        states = []
        for option, links, width in ways:
            try:
                states.append(self.state(layer, option, links, width))
            except InputError as error:
                refusal = error
        if not states:
            raise InputError(f"layer {layer.name!r}: {refusal}")
        return states

    def surroundings(self, name: str, *, own: bool) -> Iterator[dict[str, str]]:
        """Every combination of the rates of other groups that the layer's sizes depend on."""
        mine = self.subject.group_of(name) if own else None
        touching = [
            group
            for group, rates in self.rates.items()
            if group != mine and any(name in rate.sizes for rate in rates.values())
        ]
        for keys in product(*((WHOLE, *self.rates[group]) for group in touching)):
            yield dict(zip(touching, keys, strict=True))

    def state(
        self, layer: Layer, option: Option | None, around: Mapping[str, str], width: int
    ) -> State:
        """A layer's cost and links. Raises InputError where it cannot be run."""
        record = self.record(layer, option, around, width)
        found = self.price(record)
        energy, latency, size = self.quantities(record, found)
        links: dict[str, Value] = {group_item(group): key for group, key in around.items()}
        links |= {reads(layer.name): record.ifmap.bits, hands_on(layer.name): width}
        drop = 0.0
        if option:
            mine = self.subject.group_of(layer.name)
            links |= {group_item(mine): option.rate} if mine and mine in self.rates else {}
            drop = self.own_drop(layer.name, option)
        costs = {"energy": energy, "latency": latency, "size": size, "drop": drop}
        return State(costs, links, Label(option.candidate.name if option else "", record, found))

    def record(
        self, layer: Layer, option: Option | None, around: Mapping[str, str], width: int
    ) -> Layer:
        """The layer under an option, with what its neighbours left it."""
        bits = self.subject.bits
        base = option.record if option else layer
        for group, key in around.items():
            if key:
                base = shrunk(base, layer, self.rates[group][key].sizes.get(layer.name, {}), bits)
        ifmap = base.ifmap.bits if option else width if passes_on(layer) else bits
        return base.at_bits(ifmap=ifmap, weight=base.weight.bits, ofmap=width, psum=base.psum.bits)


@dataclass(frozen=True)
class Label:
    """What a layer's state stands for; equal where the candidate is."""

    candidate: str
    record: Layer = field(compare=False)
    cost: Cost = field(compare=False)


def candidate_of(state: State) -> str:
    """The candidate that a layer's state stands for; none of a layer without weights."""
    return state.label.candidate if isinstance(state.label, Label) else ""


def passes_on(layer: Layer) -> bool:
    """Whether a layer hands on words as wide as its reader reads."""
    return layer.op in HANDS_ON


def size_bits(layer: Layer) -> int:
    """The bits of a layer's weights as stored in the shortest way."""
    whole = layer.words("weight") * layer.weight.bits
    return min((whole, *(one.bits for one in layer.weight.stored)))


def shrunk(layer: Layer, whole: Layer, sizes: Mapping[str, int], bits: int) -> Layer:
    """A layer whose neighbours lost channels, as they did with the layer `whole`.

    Where weights go with them, as many are zero, and stored bits are as many, as in the others.
    """
    fewer = {
        name: getattr(layer, name) + size - getattr(whole, name) for name, size in sizes.items()
    }
    before = layer.words("weight")
    bare = replace(layer, weight=replace(layer.weight, zeros=None, stored=()))
    found = replace(bare, **fewer)
    share = found.words("weight") / before if before else 1.0
    if share == 1.0:
        return replace(layer, **fewer)
    stored = tuple(replace(one, bits=ceil(one.bits * share)) for one in layer.weight.stored)
    psum = psum_bits(found, ifmap=found.ifmap.bits, weight=found.weight.bits, bits=bits)
    return replace(
        found,
        weight=replace(found.weight, stored=stored),
        psum=replace(found.psum, bits=psum),
    )


def _links(option: Option) -> tuple[str, int]:
    return option.rate, option.record.ifmap.bits
