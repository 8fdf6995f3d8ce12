"""Chains of layers run depth first, tile by tile, so that what lies between them stays on chip.

A schedule (`hwsim._chain.Schedule`) turns a chain into pieces, which are layers like any others on
a machine whose buffer is home to what lies between them, and into copies of weights and of the
first ifmap to the buffer. One after the other they cost what they cost, each copy with all its
cycles. All schedules are searched as one problem.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from time import perf_counter

from hwsim._chain import Chain, Cut, Load, Piece, Schedule
from hwsim.compulsory import least
from hwsim.cost import Cost, Totals, transfer_cost
from hwsim.dataflows._parts import tile_sizes
from hwsim.errors import MappingError
from hwsim.found import Found, Question, Search
from hwsim.hardware import Accelerator
from hwsim.homes import buffer, fits, with_homes
from hwsim.mapping import Mapping, Store
from hwsim.objective import Objective, value
from hwsim.simulate import ask
from hwsim.traffic import transfers
from hwsim.workload import Layer

Tiles = Sequence[tuple[int, int, int]]
# Sums of the same costs in another order differ by less.
ROUNDING = 1e-9


@dataclass(frozen=True, kw_only=True)
class MappedPiece:
    """A piece, the machine as it sees it, its mapping, and its cost for one tile."""

    piece: Piece
    machine: Accelerator
    mapping: Mapping
    cost: Cost


@dataclass(frozen=True, kw_only=True)
class MappedLoad:
    """A copy from DRAM to a buffer, and its cost for one time."""

    load: Load
    cost: Cost


@dataclass(frozen=True, kw_only=True)
class FusedChain:
    """The best schedule of a chain, and what it costs.

    `apart` is what the layers cost one by one through DRAM, None where one fits no mapping.
    `value`, of the objective, is no more than that of any schedule, and no schedule's is below
    `lower_bound`; both are equal but where time ran out. `evaluated` schedules were mapped, out of
    `schedules` that fit the buffers.
    """

    layers: tuple[Layer, ...]
    schedule: Schedule
    pieces: tuple[MappedPiece, ...]
    loads: tuple[MappedLoad, ...]
    totals: Totals
    apart: Totals | None
    objective: Objective
    value: float
    lower_bound: float
    evaluated: int
    schedules: int
    seconds: float

    @property
    def gap(self) -> float | None:
        """How far above its lower bound the value lies, as a share of the bound, if that is any."""
        return self.value / self.lower_bound - 1 if self.lower_bound else None

    @property
    def macs(self) -> int:
        """Multiply-accumulates, those of parts made again included."""
        return sum(mapped.piece.times * mapped.piece.layer.macs for mapped in self.pieces)


def fuse(
    layers: Sequence[Layer],
    machine: Accelerator,
    *,
    search: Search = ask,
    objective: Objective = "edp",
    tiles: Tiles | None = None,
    budget_s: float | None = None,
) -> FusedChain:
    """The schedule of a chain of layers of least energy, cycles or a product of both.

    Of all schedules, or those of the given tiles (images, rows, columns of the last ofmap; see
    `even_tiles`), none is better, each piece under the mapping that `search` finds for it. With
    `budget_s` all ends after so many seconds, once any is found. Raises InputError where the layers
    are no chain, MappingError where no schedule fits the machine.
    """
    start = perf_counter()
    judge = _Judge(Chain(tuple(layers), machine), search, objective)
    ranked = judge.ranked(tiles)
    deadline = float("inf") if budget_s is None else start + budget_s
    best, bound, evaluated = _least_of(judge, ranked, deadline)
    if best is None:
        raise MappingError(
            f"chain {judge.chain.name!r} fits no schedule on {machine.name}: {judge.chain.level} "
            f"is too small for what must lie between its layers and the least of tiles beside it"
        )
    schedule, totals = best
    pieces, loads = judge.result(schedule)
    reached = judge.value(totals.energy_pj, totals.cycles)
    return FusedChain(
        layers=judge.chain.layers,
        schedule=schedule,
        pieces=pieces,
        loads=loads,
        totals=totals,
        apart=judge.apart(),
        objective=objective,
        value=reached,
        lower_bound=min(bound, reached),
        evaluated=evaluated,
        schedules=len(ranked),
        seconds=perf_counter() - start,
    )


def even_tiles(layer: Layer) -> Tiles:
    """Tiles (n, p, q) of an ofmap, one for each number of tiles along each axis: the smallest."""
    return list(product(tile_sizes(layer.N), tile_sizes(layer.P), tile_sizes(layer.Q)))


def _least_of(
    judge: "_Judge", ranked: Sequence[tuple[float, Schedule]], deadline: float
) -> tuple[tuple[Schedule, Totals] | None, float, int]:
    """(the best schedule and its costs, what bounds all others, how many were looked at)."""
    best, reached = None, float("inf")
    for evaluated, (bound, schedule) in enumerate(ranked):
        if bound * (1 - ROUNDING) >= reached:
            return best, reached, evaluated
        if best and perf_counter() > deadline:
            return best, bound, evaluated
        totals = judge.totals(schedule, below=reached)
        if totals and judge.value(totals.energy_pj, totals.cycles) < reached:
            best, reached = (schedule, totals), judge.value(totals.energy_pj, totals.cycles)
    return best, reached, len(ranked)


Sums = tuple[float, float]


@dataclass
class _Judge:
    """Bounds and costs of schedules, each piece mapped once for each room that it has."""

    chain: Chain
    search: Search
    objective: Objective
    floors: dict[object, Sums] = field(default_factory=dict)
    machines: dict[object, Accelerator] = field(default_factory=dict)
    copies: dict[Load, Cost] = field(default_factory=dict)
    mapped: dict[object, Found | None] = field(default_factory=dict)

    def value(self, energy_pj: float, cycles: float) -> float:
        """What the objective weighs."""
        return value(self.objective, energy_pj, cycles)

    def ranked(self, tiles: Tiles | None) -> list[tuple[float, Schedule]]:
        """Every schedule that fits the buffers, with a bound on its value, least first."""
        found = [
            (self.value(*self._floor(Cut(self.chain, schedule))), schedule)
            for schedule in self.chain.schedules(tiles)
            if self._fits(Cut(self.chain, schedule))
        ]
        return sorted(found, key=lambda pair: pair[0])

    def totals(self, schedule: Schedule, *, below: float) -> Totals | None:
        """What a schedule costs; None where a piece fits no mapping or the value is not `below`.

        Each piece's own cost takes the place of its bound, until they exceed what is sought.
        """
        cut = Cut(self.chain, schedule)
        energy_pj, cycles = self._floor(cut)
        costs = [(load.times, self._copied(load)) for load in cut.loads()]
        for piece in self._pieces(cut):
            found = self._mapped(cut, piece)
            if found is None:
                return None
            least_pj, least_cycles = self._least(cut, piece)
            energy_pj += piece.times * (found.cost.energy_pj - least_pj)
            cycles += piece.times * (found.cost.cycles - least_cycles)
            costs.append((piece.times, found.cost))
            if self.value(energy_pj, cycles) >= below * (1 + ROUNDING):
                return None
        return Totals.of(costs)

    def result(self, schedule: Schedule) -> tuple[tuple[MappedPiece, ...], tuple[MappedLoad, ...]]:
        """A schedule's pieces and copies with their costs."""
        cut, pieces = Cut(self.chain, schedule), []
        for piece in self._pieces(cut):
            found, machine = self._mapped(cut, piece), self._machine(cut, piece.place)
            assert found is not None
            assert machine is not None
            pieces.append(
                MappedPiece(piece=piece, machine=machine, mapping=found.mapping, cost=found.cost)
            )
        loads = (MappedLoad(load=load, cost=self._copied(load)) for load in cut.loads())
        return tuple(pieces), tuple(loads)

    def apart(self) -> Totals | None:
        """What the layers cost one by one through DRAM."""
        try:
            found = [self._search(layer, self.chain.machine) for layer in self.chain.layers]
        except MappingError:
            return None
        return Totals.of((1, each.cost) for each in found)

    def _fits(self, cut: Cut) -> bool:
        places = range(len(self.chain.layers))
        return all(fits(self.chain.machine, cut.rooms(place)) for place in places)

    def _pieces(self, cut: Cut) -> Iterator[Piece]:
        for place in range(len(self.chain.layers)):
            yield from cut.pieces(place)

    def _machine(self, cut: Cut, place: int) -> Accelerator | None:
        return with_homes(self.chain.machine, cut.homes(place), cut.rooms(place))

    def _mapped(self, cut: Cut, piece: Piece) -> Found | None:
        """A piece's mapping and cost; None where it has none in the room that is left to it."""
        homes, rooms = cut.homes(piece.place), cut.rooms(piece.place)
        key = (*_shape(piece), *homes.items(), *rooms.items())
        if key not in self.mapped:
            machine = self._machine(cut, piece.place)
            assert machine is not None
            try:
                self.mapped[key] = self._search(piece.layer, machine)
            except MappingError:
                self.mapped[key] = None
        return self.mapped[key]

    def _search(self, layer: Layer, machine: Accelerator) -> Found:
        goal = self.objective
        return self.search(Question(layer=layer, machine=machine, objective=goal, effort=0))

    def _floor(self, cut: Cut) -> Sums:
        """What no mapping of the pieces goes below, and the copies."""
        sums = [self._layer_floor(cut, place) for place in range(len(self.chain.layers))]
        for load in cut.loads():
            cost = self._copied(load)
            sums.append((load.times * cost.energy_pj, load.times * cost.cycles))
        energy_pj, cycles = zip(*sums, strict=True)
        return sum(energy_pj), sum(cycles)

    def _layer_floor(self, cut: Cut, place: int) -> Sums:
        schedule = replace(cut.schedule, weights_kept=(), loaded=False)
        key = (schedule, place, *cut.homes(place).items())
        if key not in self.floors:
            energy_pj, cycles = 0.0, 0.0
            for piece in cut.pieces(place):
                least_pj, least_cycles = self._least(cut, piece)
                energy_pj += piece.times * least_pj
                cycles += piece.times * least_cycles
            self.floors[key] = energy_pj, cycles
        return self.floors[key]

    def _least(self, cut: Cut, piece: Piece) -> Sums:
        homes = cut.homes(piece.place)
        key = (*_shape(piece), *homes.items())
        if key not in self.floors:
            found = least(piece.layer, self._roomy(homes))
            self.floors[key] = found.energy_pj, found.cycles
        return self.floors[key]

    def _roomy(self, homes: dict[str, str]) -> Accelerator:
        """The machine with homes but nothing reserved for them, which no bound minds."""
        key = tuple(homes.items())
        if key not in self.machines:
            machine = with_homes(self.chain.machine, homes, {})
            assert machine is not None
            self.machines[key] = machine
        return self.machines[key]

    def _copied(self, load: Load) -> Cost:
        if load not in self.copies:
            self.copies[load] = _copy_cost(load, self.chain.machine)
        return self.copies[load]


def _shape(piece: Piece) -> tuple[object, ...]:
    return piece.place, piece.images, piece.rows, piece.columns


def _copy_cost(load: Load, machine: Accelerator) -> Cost:
    """Cost of one copy of a whole tensor from DRAM to the buffer."""
    level = buffer(machine, load.tensor)
    assert level is not None
    stores = (Store(machine.levels[0].level, load.layer.tensors), Store(level, (load.tensor,)))
    moves = transfers(load.layer, Mapping(stores), machine)
    inwards = tuple(move for move in moves if move.link.child == level)
    return transfer_cost(load.layer, inwards, machine)
