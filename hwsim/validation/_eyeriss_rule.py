"""One rule for the mappings of the Eyeriss chip, where the publication gives none.

`hwsim/validation/eyeriss_v1.py` states it, in seven points, with what it was inferred from.
"""

from collections.abc import Iterator
from itertools import product
from math import prod
from typing import NamedTuple

from hwsim.dataflows.row_stationary import Pass, Sets
from hwsim.sparsity import stored_bits
from hwsim.workload import Layer, Storage

COLUMNS, ROWS = 14, 12
LONGEST_ROW = 128
PAD_WORDS = {"ifmap": 12, "weight": 224, "psum": 24}
BANK_WORDS, BANKS, FILTER_BANKS = 2048, 25, 2
LEAST_ACTIVE = 0.9


class Choice(NamedTuple):
    """A mapping and what the rule weighs: words of DRAM, words of the GLB, active PEs."""

    dram_words: float
    glb_words: int
    active_pes: int
    mapping: Pass


def chip_mapping(layer: Layer, *, zeros: float, filters_among_maps: bool) -> Pass:
    """The rule's parameters for a layer of 16-bit words, whose ifmap has that share of zeros."""
    choices = list(_choices(layer, zeros, filters_among_maps))
    least = LEAST_ACTIVE * max(choice.active_pes for choice in choices)
    return min(
        (choice for choice in choices if choice.active_pes >= least),
        key=lambda choice: (choice.dram_words, choice.glb_words, -choice.active_pes),
    ).mapping


def _choices(layer: Layer, zeros: float, filters_among_maps: bool) -> Iterator[Choice]:
    w = -(-layer.Q // -(-layer.Q // LONGEST_ROW))
    for e, n in product(range(1, layer.P + 1), _divisors(layer.N)):
        if n == 1 or (e == layer.P and w == layer.Q):
            for across, down in _sets(layer, e):
                for p, q, m in _tiles(layer, across, down):
                    found = Pass(m, n, e, p, q, across, down, w)
                    if _fits(layer, found, filters_among_maps):
                        yield _weighed(layer, found, zeros)


def _sets(layer: Layer, e: int) -> Iterator[tuple[Sets, Sets]]:
    """PE sets side by side and below one another."""
    folds = -(-e // COLUMNS)
    places_across, places_down = COLUMNS // min(e, COLUMNS), ROWS // layer.R // folds
    for r, t in product(range(1, places_across + 1), repeat=2):
        for rd, td in product(range(1, places_down + 1), repeat=2):
            if r * t <= places_across and rd * td <= places_down and (folds == 1 or r * rd == 1):
                yield Sets(r, t, 1), Sets(rd, td, 1)


def _tiles(layer: Layer, across: Sets, down: Sets) -> Iterator[tuple[int, int, int]]:
    """(p, q, m) that divide the layer and fit the pads."""
    r, t = across.r * down.r, across.t * down.t
    for m, pt in product(_divisors(layer.K), repeat=2):
        for q in range(1, PAD_WORDS["ifmap"] // layer.S + 1):
            p = pt // t
            pads = p <= PAD_WORDS["psum"] and p * q * layer.S <= PAD_WORDS["weight"]
            if pads and pt % t == 0 and m % pt == 0 and layer.C % (q * r) == 0:
                yield p, q, m


def _fits(layer: Layer, found: Pass, filters_among_maps: bool) -> bool:
    rows, columns = _window(found.e, layer.R, layer.stride_h), layer.Q if not found.w else found.w
    psums = found.n * found.e * columns * found.m
    ifmaps = found.n * rows * _window(columns, layer.S, layer.stride_w) * found.q * found.r
    filters = found.p * found.t * found.q * found.r * layer.R * layer.S
    maps = _banks(psums) + _banks(ifmaps)
    if filters_among_maps:
        return maps + _banks(filters) <= BANKS
    return maps <= BANKS and _banks(filters) <= FILTER_BANKS


def _weighed(layer: Layer, found: Pass, zeros: float) -> Choice:
    columns = found.w or layer.Q
    strips, pieces = -(-layer.P // found.e), -(-layer.Q // columns)
    rows = layer.P * layer.stride_h + strips * (layer.R - layer.stride_h)
    width = layer.Q * layer.stride_w + pieces * (layer.S - layer.stride_w)
    ifmap = layer.N * layer.G * layer.C * rows * width
    weights = prod(layer.bounds[dim] for dim in "GKCRS") * layer.N // found.n * strips * pieces
    coded = stored_bits(Storage.RUN_LENGTH, bits=16, density=1.0 - zeros) / 16
    return Choice(
        dram_words=round(weights + coded * ifmap * (layer.K // found.m)),
        glb_words=2 * layer.C // (found.q * found.r) * layer.words("ofmap")
        + ifmap * (layer.K // (found.p * found.t))
        + weights,
        active_pes=layer.R * found.e * found.r * found.t,
        mapping=found,
    )


def _window(tile: int, window: int, stride: int) -> int:
    return (tile - 1) * stride + window


def _banks(words: int) -> int:
    return -(-words // BANK_WORDS)


def _divisors(number: int) -> list[int]:
    return [size for size in range(1, number + 1) if number % size == 0]
