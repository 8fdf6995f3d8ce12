"""The structures of a question, and what is alike in them."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np

from hwsim.constraints import FREE, Constraints, Dim
from hwsim.hardware import Accelerator
from hwsim.objective import Objective
from hwsim.search.goal import Goals, Spared
from hwsim.search.inner import Options, axis_options
from hwsim.search.master import Goal
from hwsim.search.problem import AXES as NAMES
from hwsim.search.problem import (
    FIRSTS,
    INNER,
    MACS,
    MONOMIALS,
    OUTER,
    RISEN,
    RISEN_TILE,
    STEPS,
    TILES,
    Form,
    Numbers,
    form,
    numbers,
    windows,
)
from hwsim.search.structures import Structure, structures
from hwsim.workload import Layer

AXES = range(6)
# What a monomial or a tile is; None where a structure has none.
Label = Any


@dataclass(frozen=True)
class Job:
    """One structure, with the axes along which its ifmaps slide, and `options` [axis]; its `goal`,
    and what that leaves out, `spared`."""

    structure: Structure
    form: Form
    goal: Goal
    spared: Spared
    options: tuple[Options, ...]


def guess(numbers: Numbers) -> dict[Label, Any]:
    """What the first structure begins with: arithmetic shared out to all places."""
    mean = np.zeros(len(AXES))
    mean[0] = max(0.0, np.log(numbers.bounds).sum() - np.log(numbers.x * numbers.y))
    return {("mean", STEPS): mean}


@lru_cache(maxsize=4096)
def labels(structure: Structure) -> tuple[Label, ...]:
    """What each monomial and then each tile of a structure is, to find it in another one."""
    found: list[Label] = [None] * (MONOMIALS + TILES)
    for k, kept in enumerate(structure.outer):
        found[k] = "together", kept
        found[MONOMIALS + (RISEN_TILE if k == structure.risen else k)] = "tile", kept
        found[FIRSTS + k] = "first", kept
        if k == structure.risen:
            found[RISEN] = "summed", kept
    for j, kept in enumerate(structure.inner):
        found[OUTER + j], found[OUTER + INNER + j] = ("together", kept), ("summed", kept)
        found[MONOMIALS + OUTER + j] = "tile", kept
    for at in range(MACS, FIRSTS):
        found[at] = at
    return tuple(found)


def jobs(
    layer: Layer, machine: Accelerator, objective: Objective, constraints: Constraints = FREE
) -> Iterator[Job]:
    """Every structure, and every way in which its ifmaps may slide."""
    sized, sliding = numbers(layer, machine, constraints), windows(layer)
    square = _is_square(layer) and _is_symmetric(constraints)
    known: dict[tuple[Any, ...], Options] = {}
    goals = Goals(layer, machine, objective)
    for structure in structures(machine, layer.tensors, sliding, constraints):
        costs = goals.of(structure)
        for slides in _slides(structure, bool(sliding), square):
            shape = form(
                structure, layer, machine, slides, timed=goals.is_timed, constraints=constraints
            )
            options = []
            for axis in AXES:
                key = _inside(structure, shape, axis, square)
                if key not in known:
                    known[key] = axis_options(sized, shape, axis)
                options.append(known[key])
            if all(own.key.size for own in options):
                yield Job(structure, shape, *costs, tuple(options))


def _slides(structure: Structure, sliding: bool, square: bool) -> Iterator[tuple[int, ...]]:
    """The axis along which the ifmap slides at each of its stores."""
    count = sum(kept.tensor == "ifmap" for kept in structure.stores)
    if not sliding:
        yield (-1,) * count
        return
    for slides in product((0, 1), repeat=count):
        if not (slides[:1] == (1,) and square):
            yield slides


def _is_square(layer: Layer) -> bool:
    """Whether rows and columns may be exchanged."""
    rows = layer.P, layer.R, layer.H, layer.stride_h, layer.dilation_h, layer.pad_h
    return rows == (layer.Q, layer.S, layer.W, layer.stride_w, layer.dilation_w, layer.pad_w)


def _is_symmetric(constraints: Constraints) -> bool:
    """Whether constraints ask the same of rows and of columns."""
    pairs: tuple[tuple[Dim, Dim], ...] = (("P", "Q"), ("R", "S"))
    spatial, tiles = constraints.spatial.values(), constraints.tiles.values()
    return all(
        all((one in dims) == (other in dims) for dims in spatial)
        and all(most.get(one) == most.get(other) for most in tiles)
        for one, other in pairs
    )


def _inside(structure: Structure, shape: Form, axis: int, square: bool) -> tuple[Any, ...]:
    """What the options of an axis depend on; rows and columns of a square layer have the same."""
    risen = None if structure.risen is None else structure.outer[structure.risen]
    first = len(structure.outer) if structure.risen is None else structure.risen
    slides = [*shape.slides[first : first + 1], *shape.slides[len(structure.outer) :]]
    own = tuple(dim in slot for slot in structure.inner_slots for dim in NAMES[axis] if dim)
    alike = 0 if square and axis == 1 else axis
    along = tuple(bool(way == axis) for way in slides)
    starts = min(shape.starts, 0) if shape.starts < OUTER else shape.starts
    waits = starts, *map(int, shape.leads)
    return alike, structure.inner, own, risen, along, tuple(map(bool, shape.macs)), waits
