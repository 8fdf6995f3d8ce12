"""How the dataflow study charges one data value (ISCA 2016), in energies of a MAC.

A value is used a x b x c x d times: fetched a times from DRAM, each of those copies b times from
the buffer, each of those c times over the array, and each of those d times from a register file.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwsim.workload import Layer

Ints = NDArray[np.int64]
Floats = NDArray[np.floating[Any]]
Count = Ints | Floats | float

# What one psum passed to the next PE is charged, in array accesses. The paper's psum equation
# prints one; the recomputed study charges two, as it does a read and a write at other levels.
PRINTED_HOPS, RECOMPUTED_HOPS = 1, 2


class PerLevel(NamedTuple):
    """Something for each level of the storage hierarchy, per value or per MAC."""

    dram: Count
    buffer: Count
    array: Count
    rf: Count

    def total(self) -> Count:
        """The sum over the levels."""
        return self.dram + self.buffer + self.array + self.rf


# Table IV: energy of an access of 16 bits, that of a 16-bit MAC being 1.
ENERGY = PerLevel(200.0, 6.0, 2.0, 1.0)
MAC_ENERGY = 1.0


@dataclass(frozen=True, kw_only=True)
class Reuse:
    """The products a, ab, abc and abcd of one value's reuse.

    None where the value bypasses a level. A ragged fold is taken over all levels above it at once:
    ceil(K / (p t)), not ceil(K / m) ceil(m / (p t)).
    """

    a: Count
    ab: Count | None
    abc: Count | None
    abcd: Count | None


class Reuses(NamedTuple):
    """The reuse of a value of each tensor; of a psum, its accumulations."""

    ifmap: Reuse
    weight: Reuse
    psum: Reuse


def input_accesses(reuse: Reuse) -> PerLevel:
    """Accesses of an ifmap or weight value: a, ab, abc, abcd."""
    inner = (0.0 if count is None else count for count in (reuse.ab, reuse.abc, reuse.abcd))
    return PerLevel(reuse.a, *inner)


def psum_accesses(reuse: Reuse, *, hops: int) -> PerLevel:
    """Accesses of an ofmap value while it accumulates: 2a - 1, 2a(b - 1), ab(c - 1), 2abc(d - 1).

    The first accumulation at a level reads nothing; the last goes straight to the level above.
    `hops` is PRINTED_HOPS or RECOMPUTED_HOPS. A bypassed level accumulates nothing.
    """
    ab = reuse.a if reuse.ab is None else reuse.ab
    abc = ab if reuse.abc is None else reuse.abc
    abcd = abc if reuse.abcd is None else reuse.abcd
    return PerLevel(2 * reuse.a - 1, 2 * (ab - reuse.a), hops * (abc - ab), 2 * (abcd - abc))


def accesses_per_mac(layer: Layer, reuses: Reuses, *, hops: int = RECOMPUTED_HOPS) -> PerLevel:
    """Accesses of all tensors at each level, over the layer's MACs."""
    each = (
        (stored_ifmap_words(layer), input_accesses(reuses.ifmap)),
        (layer.words("weight"), input_accesses(reuses.weight)),
        (layer.words("ofmap"), psum_accesses(reuses.psum, hops=hops)),
    )
    return PerLevel(
        *(
            sum(words / layer.macs * accesses[level] for words, accesses in each)
            for level in range(len(ENERGY))
        )
    )


def energy_parts(accesses: PerLevel) -> PerLevel:
    """What the accesses cost at each level."""
    return PerLevel(*(count * each for count, each in zip(accesses, ENERGY, strict=True)))


def stored_ifmap_words(layer: Layer) -> int:
    """Words of the ifmap with its zero padding, which the study moves like data."""
    return layer.N * layer.G * layer.C * stored_rows(layer) * stored_columns(layer)


def stored_rows(layer: Layer) -> int:
    """Ifmap rows with padding."""
    return layer.H + 2 * layer.pad_h


def stored_columns(layer: Layer) -> int:
    """Ifmap columns with padding."""
    return layer.W + 2 * layer.pad_w


def uses_of_ifmap_value(layer: Layer) -> float:
    """Filter positions that use an ifmap value, on average: R S P Q / (H W)."""
    return layer.R * layer.S * layer.P * layer.Q / (stored_rows(layer) * stored_columns(layer))


def row_halo(layer: Layer, strip: Ints) -> Floats:
    """Times a row is fetched where strips of so many ofmap rows share rows: (P/H) / (strip/rows).

    Ragged strips count by their size: P / strip of them, not rounded up.
    """
    return layer.P / stored_rows(layer) * rows_of(layer, strip) / strip


def column_halo(layer: Layer, strip: Ints) -> Floats:
    """Times a column is fetched where strips of so many ofmap columns share columns."""
    return layer.Q / stored_columns(layer) * columns_of(layer, strip) / strip


def rows_of(layer: Layer, strip: Ints) -> Ints:
    """Ifmap rows under a strip of ofmap rows."""
    return (strip - 1) * layer.stride_h + layer.R


def columns_of(layer: Layer, strip: Ints) -> Ints:
    """Ifmap columns under a strip of ofmap columns."""
    return (strip - 1) * layer.stride_w + layer.S
