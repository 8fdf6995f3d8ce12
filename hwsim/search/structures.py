"""Every arrangement of stores and array that an optimal loop nest can have.

Two moves never cost anything, and bring every nest into the form that is searched:

- a store rises past loops that its tensor lacks directly above it: its tile and its words stay;
- a store sinks past loops that its tensor has directly below it: its words stay, its tile shrinks.

So the loops directly above a store go through dimensions that its tensor has, those directly below
it through dimensions that its tensor lacks, which it OWNS. Sinking is not free for an ifmap with
windows (smaller tiles have more halo, or slide the other way), nor for the innermost `single`
memory (filled more often, it starts the pipeline more often); those may have other loops below.

The first pad in the order may rise past the array too, as far as the time loops above the array
are concerned: a pad beside each PE stays what it is while loops above that its tensor lacks go on.

Where a tensor is not to return to a PE (`dataflow_rules`), a pad that has risen has no loops above
it, within a pass, over the dimensions that would bring its tensor back.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

from hwsim.constraints import FREE, Constraints
from hwsim.dataflow_rules import RULES, Rule, is_kept, pads, scope
from hwsim.hardware import Accelerator, Array
from hwsim.workload import DIMS, RELEVANT

Tensors = tuple[str, ...]
Dims = frozenset[str]
ALL = frozenset(DIMS)


@dataclass(frozen=True)
class Kept:
    """A tensor kept at the level of that index in the machine's list."""

    tensor: str
    level: int


@dataclass(frozen=True)
class Structure:
    """Stores in the order of the nest, and the dimensions of the time loops between them.

    `outer` come before the array as time loops are concerned, `inner` after it. The pad that rose
    above the array, if any, is `outer[risen]`. `outer_slots[i]` are the loops before `outer[i]`,
    the last those directly above the array; `inner_slots` likewise, the last below all stores.
    """

    outer: tuple[Kept, ...]
    inner: tuple[Kept, ...]
    risen: int | None
    outer_slots: tuple[Dims, ...]
    inner_slots: tuple[Dims, ...]
    restarting: int | None

    @property
    def stores(self) -> tuple[Kept, ...]:
        """All stores, outermost first."""
        return self.outer + self.inner


def structures(
    machine: Accelerator, tensors: Tensors, windows: Dims, constraints: Constraints = FREE
) -> tuple[Structure, ...]:
    """Every structure, for layers whose dimensions in `windows` slide over an ifmap, that keeps
    what the constraints ask for and obeys their dataflow."""
    split = inner_levels(machine)
    rule = RULES[constraints.dataflow] if constraints.dataflow else Rule()
    found: dict[Structure, None] = {}
    for kept in _choices(machine, tensors, constraints):
        if not _keeps(kept, rule, machine, tensors):
            continue
        outer = [store for store in kept if store.level < split]
        inner = [store for store in kept if store.level >= split]
        for above, below in product(_orders(outer), _orders(inner)):
            for arrangement in _risen(above, below, windows):
                structure = _structure(machine, tensors, windows, *arrangement)
                found[_staying(structure, rule, machine)] = None
    return tuple(found)


def inner_levels(machine: Accelerator) -> int:
    """The first level within the array; how many levels there are, if the machine has no array."""
    count = 0
    for part in machine.hierarchy:
        if isinstance(part, Array):
            return count
        count += 1
    return count


def most_stores(machine: Accelerator, tensors: Tensors) -> tuple[int, int]:
    """How many stores a structure has above the array at most, a pad that rose among them, and how
    many within it."""
    split = inner_levels(machine)
    levels = [
        index
        for index, level in enumerate(machine.levels[1:], start=1)
        for tensor in tensors
        if level.memory(tensor)
    ]
    inner = sum(index >= split for index in levels)
    return len(levels) - inner + bool(inner), inner


def _choices(
    machine: Accelerator, tensors: Tensors, constraints: Constraints
) -> Iterator[tuple[Kept, ...]]:
    """Every set of stores below the outermost level, where each may be left out or not."""
    options = []
    for index, level in enumerate(machine.levels[1:], start=1):
        out = constraints.bypass.get(level.level, ())
        kept = constraints.keep.get(level.level, ())
        for tensor in tensors:
            memory, ways = level.memory(tensor), list[tuple[Kept, ...]]()
            if memory and tensor not in out:
                ways.append((Kept(tensor, index),))
            if not memory or (memory.bypass and tensor not in kept):
                ways.append(())
            options.append(ways)
    for choice in product(*options):
        yield sum(choice, ())


def _keeps(kept: tuple[Kept, ...], rule: Rule, machine: Accelerator, tensors: Tensors) -> bool:
    """Whether PEs keep what the dataflow asks for."""
    held = {store.tensor for store in kept if machine.levels[store.level].level in pads(machine)}
    return all(tensor in held for tensor in tensors if is_kept(rule, machine, tensor))


def _orders(stores: list[Kept]) -> Iterator[tuple[Kept, ...]]:
    """Every order in which each tensor is kept further out first."""
    if not stores:
        yield ()
    for store in stores:
        if any(s.tensor == store.tensor and s.level < store.level for s in stores):
            continue
        for rest in _orders([s for s in stores if s != store]):
            yield (store, *rest)


def _risen(
    outer: tuple[Kept, ...], inner: tuple[Kept, ...], windows: Dims
) -> Iterator[tuple[tuple[Kept, ...], tuple[Kept, ...], int | None]]:
    """The first of the inner stores put at every place among the outer ones that it may rise to."""
    if not inner:
        yield outer, (), None
        return
    first, rest = inner[0], inner[1:]
    own = [i for i, store in enumerate(outer) if store.tensor == first.tensor]
    for place in range(own[-1] + 1 if own else 0, len(outer) + 1):
        yield (*outer[:place], first, *outer[place:]), rest, place
    if first.tensor == "ifmap" and windows:
        yield outer, inner, None


def _structure(
    machine: Accelerator,
    tensors: Tensors,
    windows: Dims,
    outer: tuple[Kept, ...],
    inner: tuple[Kept, ...],
    risen: int | None,
) -> Structure:
    rules = _Rules(tensors, windows)
    stores = outer + inner
    single = [i for i, store in enumerate(stores) if _is_single(machine, store)]
    last = single[-1] if single else None
    chain = [None, *stores, None]
    slots = [
        rules.between(chain[i], chain[i + 1], restarts=last is not None and i == last + 1)
        for i in range(len(chain) - 1)
    ]
    count = len(outer)
    above, below = slots[: count + 1], slots[count:]
    if risen is not None:
        pad = outer[risen].tensor
        for i in range(risen + 1, count + 1):
            above[i] &= rules.own(pad)
        below[0] = rules.straddling(outer, risen, inner, restarts=last == risen)
    elif inner:
        below[0] = windows
    return Structure(
        outer=outer,
        inner=inner,
        risen=risen,
        outer_slots=tuple(above),
        inner_slots=tuple(below),
        restarting=last,
    )


def _staying(structure: Structure, rule: Rule, machine: Accelerator) -> Structure:
    """A structure without the loops for which tensors would return to a PE."""
    slots, count = [*structure.outer_slots, *structure.inner_slots], len(structure.outer)
    stores = [(kept.tensor, machine.levels[kept.level].level) for kept in structure.stores]
    for tensor, dims in rule.returns.items():
        places = scope(rule, machine, tensor, stores)
        # Loops directly above the array lie between stores above it and stores within.
        end = places.stop + (places.stop > count)
        for at in range(places.start, end) if places else ():
            slots[at] -= frozenset(dims)
    return replace(
        structure, outer_slots=tuple(slots[: count + 1]), inner_slots=tuple(slots[count + 1 :])
    )


def _is_single(machine: Accelerator, store: Kept) -> bool:
    memory = machine.levels[store.level].memory(store.tensor)
    return memory is not None and memory.buffering == "single"


@dataclass(frozen=True)
class _Rules:
    """Which loops are worth having between two stores."""

    tensors: Tensors
    windows: Dims

    def own(self, tensor: str) -> Dims:
        """Dimensions that a tensor lacks."""
        return ALL - RELEVANT[tensor]

    def between(self, upper: Kept | None, lower: Kept | None, *, restarts: bool) -> Dims:
        """Loops between two stores, None the outermost level or the MACs."""
        wanted = frozenset(RELEVANT[lower.tensor]) if lower else ALL
        return wanted & (self._below(upper, lower, restarts=restarts) if upper else ALL)

    def straddling(
        self, outer: tuple[Kept, ...], risen: int, inner: tuple[Kept, ...], *, restarts: bool
    ) -> Dims:
        """Loops inside a PE before the second of its stores.

        Loops that the first one lacks do as well above the array, where ragged edges cost less, but
        for windows, which slide along what one PE has.
        """
        pad, lower = outer[risen], inner[0] if inner else None
        wanted = frozenset(RELEVANT[lower.tensor]) if lower else ALL
        found = self._below(pad, lower, restarts=restarts)
        found = (found - self.own(pad.tensor)) | (self.own(pad.tensor) & self.windows)
        if risen < len(outer) - 1:
            found |= self.own(outer[-1].tensor)
        return wanted & found

    def _below(self, upper: Kept, lower: Kept | None, *, restarts: bool) -> Dims:
        if restarts:
            return ALL
        found = self.own(upper.tensor)
        if upper.tensor == "ifmap" and self.windows:
            found |= self.windows
        if lower and lower.tensor == "ifmap":
            found |= self.windows & (
                frozenset("RS") if upper.tensor == "weight" else frozenset("PQ")
            )
        return found
