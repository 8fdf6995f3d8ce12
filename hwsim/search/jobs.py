"""The structures of a question, each with its lower bound and what is left to try of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import product
from math import inf, prod
from typing import Any

import numpy as np

from hwsim.hardware import Accelerator
from hwsim.objective import Objective
from hwsim.search.beam import dive
from hwsim.search.chains import table
from hwsim.search.dual import Goal, bound, weights
from hwsim.search.goal import goal, word_prices
from hwsim.search.inner import Options, axis_options
from hwsim.search.outer import BIG
from hwsim.search.problem import (
    INNER,
    MACS,
    MONOMIALS,
    OUTER,
    RISEN,
    RISEN_TILE,
    TILES,
    Floats,
    Form,
    Ints,
    Numbers,
    form,
    numbers,
    windows,
)
from hwsim.search.scores import Scratch, Weights, narrowed, price_all
from hwsim.search.structures import Structure, structures
from hwsim.search.walk import FOUND, LEAVES, MOST, TRIED, Walk, search, walk
from hwsim.workload import Layer

AXES = range(6)
# Rounds that move a structure's weights: of every structure first, of one that stays for long, and
# of one whose options are left out in between.
FIRST_ROUNDS, MORE_ROUNDS, ROUNDS = 12, 100, (20, 40, 80, 100)
# Options that a round goes through in the time in which a walk tries one.
SWIFTER = 200
# Sets of options that a dive keeps, how many chains it may try, and how far above the bound.
WIDTH, DIVE, DEPTH = 256, 200_000, 0.08
# Options of all axes, multiplied, which are walked through rather than bounded anew.
FEW = 3e4


# What a monomial or a tile is; None where a structure has none.
Label = Any


@dataclass
class Job:
    """One structure, with the axes along which its ifmaps slide.

    `options` [axis], `weights` of its highest bound so far, `mean` [MONOMIALS + TILES] logarithms
    of what the best options took of late. `least`: the lower bound so far, as log(objective).
    `closed`: no nest of it is lower than that but those of `leaves`, (value, leaf) each, of which
    the last is the lowest. `turns`: how often it was gone on with.
    """

    structure: Structure
    form: Form
    goal: Goal
    options: tuple[Options, ...]
    weights: Weights
    mean: Floats
    least: float = -inf
    const: float = -inf
    closed: bool = False
    turns: int = 0
    leaves: list[tuple[float, Ints]] = field(default_factory=list)

    def learn(self, known: dict[Label, float]) -> None:
        """Begins where another structure ended, as far as both have stores alike."""
        for at, label in enumerate(labels(self.structure)):
            self.mean[at] = known.get(("mean", label), self.mean[at])
        for at, label in enumerate(labels(self.structure)[MONOMIALS:]):
            self.weights.tiles[at] = known.get(("tile", label), 0.0) if label else 0.0
        for at in range(2):
            self.weights.places[at] = known.get(("places", at), 0.0)
        if known.get("busy", 0) == self.weights.busy.size:
            for at in range(self.weights.busy.size):
                self.weights.busy[at] = known[("busy", at)]

    def teach(self, known: dict[Label, float]) -> None:
        """Leaves its weights to other structures."""
        names = labels(self.structure)
        known.update({("mean", name): self.mean[at] for at, name in enumerate(names) if name})
        tiles = enumerate(names[MONOMIALS:])
        known.update({("tile", name): self.weights.tiles[at] for at, name in tiles if name})
        known.update({("places", at): self.weights.places[at] for at in range(2)})
        known.update({("busy", at): each for at, each in enumerate(self.weights.busy)})
        known["busy"] = self.weights.busy.size

    def raise_bound(
        self, n: Numbers, limit: float, rounds: int, options: Sequence[Options] = ()
    ) -> int:
        """Tries for a higher bound, up to `limit`, with all options or those of lower nests; the
        effort that it took."""
        moved = Weights(*(each.copy() for each in self.weights))
        options = tuple(options) or self.options
        scratch = scratch_of(n, self.form, options)
        args = (n, self.form, self.goal, options, moved, scratch, self.mean)
        found = bound(*args, limit, limit, rounds)
        if self.const + self._priced(n, options)[1] < found < BIG:
            self.weights = moved
            self.const = found - self._priced(n, options)[1]
        self.least = max(self.least, min(found, limit))
        return rounds * sum(len(own.key) for own in options) // SWIFTER

    def dive(self, n: Numbers, limit: float) -> int:
        """Looks for any nests below `limit`; how many options and chains it tried."""
        limit = min(limit, self.least + DEPTH)
        options = self._narrowed(n, self.options, limit)
        scratch, total = self._priced(n, options)
        slack = max(limit - self.const - total, 0.0)
        rows = table(n, self.form, options, self.weights, scratch, slack)
        state = walk(limit, DIVE)
        dive(n, self.form, self.goal, rows, self.weights, self.const, state, WIDTH)
        self._keep(state)
        return int(state.tally[TRIED])

    def close(self, n: Numbers, limit: float, effort: int) -> int:
        """Looks for the lowest nest below `limit`, trying no more options than `effort`; how many
        it tried. Then the job is closed, or its bound is `limit`, or the effort was too little."""
        options = self.options
        for rounds in (*ROUNDS, 0):
            if self.least >= limit:
                return 0
            options = self._narrowed(n, options, limit)
            if not rounds or prod(float(own.key.size) for own in options) < FEW:
                break
            self.raise_bound(n, limit, rounds, options)
        scratch, total = self._priced(n, options)
        slack = max(limit - self.const - total, 0.0)
        rows = table(n, self.form, options, self.weights, scratch, slack)
        state = walk(limit, effort)
        search(n, self.form, self.goal, rows, self.weights, self.const, state)
        self._learn(state, limit)
        return int(state.tally[TRIED])

    def _narrowed(
        self, n: Numbers, options: tuple[Options, ...], limit: float
    ) -> tuple[Options, ...]:
        """Those of the options that a nest below `limit` may have."""
        scratch, total = self._priced(n, options)
        slack = max(limit - self.const - total, 0.0)
        return tuple(map(narrowed, options, (own.scores for own in scratch), [slack] * 6))

    def _priced(
        self, n: Numbers, options: tuple[Options, ...]
    ) -> tuple[tuple[Scratch, ...], float]:
        scratch = scratch_of(n, self.form, options)
        taken = np.zeros(MONOMIALS), np.zeros(TILES), np.zeros(2)
        return scratch, price_all(n, self.form, options, self.weights, scratch, *taken)

    def _keep(self, state: Walk) -> int:
        """Keeps the nests found, of which the last is the lowest; how many there were."""
        found = int(state.tally[FOUND])
        for at in range(max(0, found - LEAVES), found):
            self.leaves.append((float(state.values[at % LEAVES]), state.leaves[at % LEAVES].copy()))
        return found

    def _learn(self, state: Walk, limit: float) -> None:
        found = self._keep(state)
        if state.tally[TRIED] < state.tally[MOST]:
            self.closed = found > 0
            self.least = float(state.limit[0]) if found else limit


@lru_cache(maxsize=4096)
def labels(structure: Structure) -> tuple[Label, ...]:
    """What each monomial and then each tile of a structure is, to find it in another one."""
    found: list[Label] = [None] * (MONOMIALS + TILES)
    for k, kept in enumerate(structure.outer):
        found[k] = "together", kept
        found[MONOMIALS + (RISEN_TILE if k == structure.risen else k)] = "tile", kept
        if k == structure.risen:
            found[RISEN] = "summed", kept
    for j, kept in enumerate(structure.inner):
        found[OUTER + j], found[OUTER + INNER + j] = ("together", kept), ("summed", kept)
        found[MONOMIALS + OUTER + j] = "tile", kept
    for at in range(MACS, MONOMIALS):
        found[at] = at
    return tuple(found)


def scratch_of(numbers: Numbers, form: Form, options: tuple[Options, ...]) -> tuple[Scratch, ...]:
    """Room for the scores of every axis."""
    stores, found = form.tensors.size, []
    for axis, own in zip(AXES, options, strict=True):
        second = numbers.second[axis]
        tiles = numbers.counts[numbers.first[axis]], numbers.counts[second] if second >= 0 else 1
        found.append(
            Scratch(
                np.zeros(own.key.size),
                np.zeros((stores + 1, *tiles)),
                np.zeros((stores + 1, *tiles), np.int64),
                np.zeros(len(own.keys)),
                np.zeros(len(own.splits)),
            )
        )
    return tuple(found)


def jobs(layer: Layer, machine: Accelerator, objective: Objective) -> Iterator[Job]:
    """Every structure, and every way in which its ifmaps may slide."""
    sized, sliding = numbers(layer, machine), windows(layer)
    known: dict[tuple[Any, ...], tuple[Options, ...]] = {}
    prices = word_prices(layer, machine)
    for structure in structures(machine, layer.tensors, sliding):
        costs = goal(layer, machine, structure, objective, prices)
        for slides in _slides(layer, structure, bool(sliding)):
            shape = form(structure, layer, machine, slides)
            key = _inside(structure, shape)
            if key not in known:
                known[key] = tuple(axis_options(sized, shape, axis) for axis in AXES)
            if all(own.key.size for own in known[key]):
                mean = np.zeros(MONOMIALS + TILES)
                yield Job(structure, shape, costs, known[key], weights(costs), mean)


def _slides(layer: Layer, structure: Structure, sliding: bool) -> Iterator[tuple[int, ...]]:
    """The axis along which the ifmap slides at each of its stores."""
    count = sum(kept.tensor == "ifmap" for kept in structure.stores)
    if not sliding:
        yield (-1,) * count
        return
    for slides in product((0, 1), repeat=count):
        if not (slides[:1] == (1,) and _is_square(layer)):
            yield slides


def _is_square(layer: Layer) -> bool:
    """Whether rows and columns may be exchanged."""
    rows = layer.P, layer.R, layer.H, layer.stride_h, layer.dilation_h, layer.pad_h
    return rows == (layer.Q, layer.S, layer.W, layer.stride_w, layer.dilation_w, layer.pad_w)


def _inside(structure: Structure, shape: Form) -> tuple[Any, ...]:
    """What the options of a structure depend on."""
    risen = None if structure.risen is None else structure.outer[structure.risen]
    slide = int(shape.slides[structure.risen]) if structure.risen is not None else -1
    own = tuple(map(int, shape.slides[len(structure.outer) :]))
    return structure.inner, structure.inner_slots, risen, slide, own, tuple(shape.macs)
