"""Least energy of a layer on a dataflow: every choice of its parameters, in arrays of numpy."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwsim.dataflows._parts import tile_sizes
from hwsim.validation._isca2016_reuse import (
    MAC_ENERGY,
    RECOMPUTED_HOPS,
    Ints,
    PerLevel,
    Reuses,
    accesses_per_mac,
    energy_parts,
)
from hwsim.validation._isca2016_storage import WORD_BYTES, buffer_bytes
from hwsim.workload import Layer

Params = dict[str, Ints]
Bools = NDArray[np.bool_]


class Chip(NamedTuple):
    """PEs, and the words of the buffer and of one PE's register file."""

    pes: int
    buffer: int
    rf: int


@dataclass(frozen=True, kw_only=True)
class Dataflow:
    """A dataflow: its register file and what its parameters mean.

    `candidates` gives equally long arrays, one place a choice; those left out cost no less than
    one that is there. `fits` says which choices the chip can hold, `reuses` how they use the data.
    """

    rf_words: int
    candidates: Callable[[Layer, Chip], Params]
    fits: Callable[[Layer, Chip, Params], Bools]
    reuses: Callable[[Layer, Params], Reuses]

    def chip(self, pes: int) -> Chip:
        """The machine of so many PEs, of the same area for every dataflow."""
        rf_bytes = self.rf_words * WORD_BYTES
        words = int(buffer_bytes(pes, rf_bytes=rf_bytes) / WORD_BYTES)
        return Chip(pes, words, self.rf_words)


@dataclass(frozen=True)
class Choice:
    """One choice of a dataflow's parameters; accesses and energies are per MAC."""

    params: dict[str, int]
    accesses: PerLevel
    parts: PerLevel

    @property
    def energy(self) -> float:
        """Energy per MAC, the MAC's own included."""
        return float(self.parts.total()) + MAC_ENERGY


def least(
    dataflow: Dataflow, layer: Layer, chip: Chip, *, hops: int = RECOMPUTED_HOPS
) -> Choice | None:
    """The first choice of least energy; None where the chip can hold none."""
    tried = dataflow.candidates(layer, chip)
    fits = dataflow.fits(layer, chip, tried)
    if not fits.any():
        return None
    tried = {name: values[fits] for name, values in tried.items()}
    parts = energy_parts(accesses_per_mac(layer, dataflow.reuses(layer, tried), hops=hops))
    best = int(np.argmin(parts.total()))
    return choice(dataflow, layer, {k: int(v[best]) for k, v in tried.items()}, hops=hops)


def choice(
    dataflow: Dataflow, layer: Layer, params: dict[str, int], *, hops: int = RECOMPUTED_HOPS
) -> Choice:
    """What given parameters cost, whether or not they fit."""
    arrays = {name: np.array(value) for name, value in params.items()}
    accesses = accesses_per_mac(layer, dataflow.reuses(layer, arrays), hops=hops)
    return Choice(params, accesses, energy_parts(accesses))


def tiles(bound: int, most: int | None = None) -> Ints:
    """The smallest tile for each number of tiles: larger ones only take more room."""
    return np.array(tile_sizes(bound, most), dtype=np.int64)


def sizes(bound: int) -> Ints:
    """Every size from 1 to the bound, for strips: each has its own halo."""
    return np.arange(1, bound + 1)


def folds(length: int | Ints, tile: int | Ints) -> Ints:
    """How many tiles a length takes, rounded up."""
    return np.asarray(-(-length // tile))


def crossed(*axes: Ints) -> list[Ints]:
    """Every combination of the axes' values, as flat arrays."""
    return [values.ravel() for values in np.meshgrid(*axes, indexing="ij")]
