"""Cycles of machines that skip zeros, counted from where the zeros are and never from an average.

Lanes (PEs, or columns of them) have unequal work as soon as zeros cost nothing, and a machine is as
fast as the lane that the others wait for. Three ways of waiting are modelled:

- `barrier_cycles`: all lanes wait at the end of each window of a mapping. `lane_work` counts what
  each lane does in each window from a layer's real zeros; `expected_cycles` draws those that are
  not known, and `compute_cycles` says so for a machine.
- `queue_cycles`: steps are broadcast into a queue before each lane, as in EIE (Han et al., ISCA
  2016, Sec. IV), and the sender waits while any queue is full. `column_entries` counts what a step
  gives each lane there, padding zeros of the relative index included.
- `packed_rounds`: rows of non-zeros are packed into rounds of a flexible array, as in SIGMA (Qin et
  al., HPCA 2020), and a round that is not full takes as long as one that is.

No cycle count falls below the busiest lane's work, and so none below `work / lanes`.
"""

from collections.abc import Iterable
from fractions import Fraction
from functools import lru_cache
from math import ceil, floor, log, prod, sqrt
from typing import Any

import numpy as np

from hwsim._compiled import compiled
from hwsim._lanes import Integers, Mask, work_by_windows
from hwsim.errors import InputError
from hwsim.hardware import Mac
from hwsim.mapping import Mapping, Store
from hwsim.reuse import compute_steps
from hwsim.workload import DIMS, RELEVANT, Layer

MOST_DRAWN = 2**20
REDUCED = frozenset(DIMS) - RELEVANT["ofmap"]


def random_mask(shape: tuple[int, ...], *, density: float, seed: int) -> Mask:
    """Where a tensor is non-zero: each element by itself, with probability `density`.

    Of two masks from one seed the sparser one's non-zeros are among the other's.
    """
    generator, mask = np.random.default_rng(seed), np.empty(prod(shape), bool)
    for part in np.split(mask, range(MOST_DRAWN, mask.size, MOST_DRAWN)):
        part[:] = generator.random(part.size) < density
    return mask.reshape(shape)


# Cycles and work of a layer


def compute_cycles(layer: Layer, mapping: Mapping, mac: Mac) -> int:
    """Cycles of arithmetic of a mapped layer, at least 1.

    Every step of the nest takes `mac_cycles`, zero or not. Where that is no whole number, products
    of one psum share a cycle, those of two never. If the PEs skip zeros, steps are those of
    `expected_cycles`, and lanes wait where a tile of `mac.sync_level` changes.
    """
    each = mac_cycles(layer, mac)
    if not (layer.weighted and mac.zero_skipping):
        products = ceil(compute_steps(layer, mapping, REDUCED) * each)
        return compute_steps(layer, mapping, RELEVANT["ofmap"]) * products
    sync = sync_point(mapping, mac.sync_level)
    steps = expected_cycles(layer, mapping, sync=sync, skipped=mac.zero_skipping)
    return max(1, ceil(steps * each))


def mac_cycles(layer: Layer, mac: Mac) -> Fraction:
    """Cycles that a PE takes for one operation of a layer: one, unless a product is made of several
    terms, or the arithmetic takes the less time the narrower its operands are."""
    if not layer.weighted:
        return Fraction(1)
    bits = layer.weight.bits
    _, times = mac.native(layer.primitive, weight_bits=bits, terms=layer.terms)
    widest = Fraction(mac.precision.cycles if mac.precision else 1)
    return times * widest * mac.share(ifmap_bits=layer.ifmap.bits, weight_bits=bits)


def balanced_cycles(layer: Layer, mapping: Mapping, mac: Mac) -> int:
    """Cycles of arithmetic if zeros fell evenly on all lanes and none waited, at least 1.

    Quick, to compare mappings by; too low to report.
    """
    steps = compute_steps(layer, mapping) * performed_share(layer, mac)
    return max(1, floor(steps * float(mac_cycles(layer, mac))))


def estimated_cycles(layer: Layer, mapping: Mapping, mac: Mac) -> int:
    """Cycles of arithmetic of PEs that skip zeros, at least 1, as if each operation were left out
    by chance: in a window the slowest lane of n takes sqrt(2 ln n) deviations more than the mean,
    as the largest of n normal variables is expected to at most, and no more than all.

    Quick, to compare mappings by.
    """
    steps, share = compute_steps(layer, mapping), performed_share(layer, mac)
    trips = list(zip(mapping.loops, mapping.trips(layer), strict=True))
    sync = sync_point(mapping, mac.sync_level)
    windows = prod(count for loop, count in trips[:sync] if not loop.axis)
    lanes = prod(count for loop, count in trips if loop.axis)
    each = max(1.0, steps / windows)
    slowest = each * share + sqrt(2 * log(lanes) * each * share * (1 - share))
    return max(1, ceil(windows * min(each, slowest) * float(mac_cycles(layer, mac))))


def performed_share(layer: Layer, mac: Mac, *, but: str = "") -> float:
    """The share of a layer's operations that PEs perform: those of zeros that they skip are not,
    `but` for one operand's.

    Zeros of padding, and of tensors whose zeros are known, are counted; others are as many as the
    densities say.
    """
    skipped = tuple(tensor for tensor in mac.zero_skipping if tensor != but)
    return _performed_share(layer, skipped) if layer.weighted else 1.0


def ungated_share(layer: Layer, mac: Mac, *, but: str = "") -> float:
    """The share of a layer's performed operations whose ifmap word is no zero, if PEs gate those.

    Zeros that are known are counted where they are multiplied, as those of padding then are; a
    density alone is taken to hold for all operations. `but` as in `performed_share`.
    """
    if not mac.zero_gating or "ifmap" in mac.zero_skipping:
        return 1.0
    if layer.ifmap.zeros is None or not layer.weighted:
        return layer.ifmap.density
    skipped = tuple(tensor for tensor in mac.zero_skipping if tensor != but)
    performed = _performed_share(layer, skipped)
    return _performed_share(layer, ("ifmap", *skipped)) / performed if performed else 0.0


def _performed_share(layer: Layer, skipped: tuple[str, ...]) -> float:
    return _counted_share(layer, skipped) if skipped else 1.0


@lru_cache(maxsize=16)  # of the layers being mapped: an entry may hold their zeros
def _counted_share(layer: Layer, skipped: tuple[str, ...]) -> float:
    records = {name: layer.tensor(name) for name in skipped}
    drawn = prod(record.density for record in records.values() if record.zeros is None)
    known = {
        name: np.ones(layer.shape(name), bool) if record.zeros is None else record.zeros.mask
        for name, record in records.items()
    }
    return drawn * int(lane_work(layer, Mapping(()), sync=0, **known).sum()) / layer.macs


def expected_cycles(
    layer: Layer, mapping: Mapping, *, sync: int, skipped: Iterable[str], seed: int = 0
) -> int:
    """Barrier cycles for the zeros of the `skipped` operands of a layer, or zeros drawn for them.

    Where an operand's zeros are not known they are drawn with its density: the ifmap's from `seed`,
    the weight's from `seed + 1`.
    """
    masks = {
        name: _mask(layer, name, seed=seed + turn)
        for turn, name in enumerate(("ifmap", "weight"))
        if name in skipped
    }
    return sum(barrier_cycles(work) for _, work in work_by_windows(layer, mapping, sync, masks))


def _mask(layer: Layer, tensor: str, *, seed: int) -> Mask:
    record = layer.tensor(tensor)
    if record.zeros is not None:
        return record.zeros.mask
    return _drawn(layer.shape(tensor), record.density, seed)


@lru_cache(maxsize=2)  # both operands of the layer being mapped
def _drawn(shape: tuple[int, ...], density: float, seed: int) -> Mask:
    return random_mask(shape, density=density, seed=seed)


def lane_work(
    layer: Layer,
    mapping: Mapping,
    *,
    sync: int,
    ifmap: Mask | None = None,
    weight: Mask | None = None,
) -> Integers:
    """MACs that are not skipped, [window, lane].

    A window is one turn of the temporal loops among the mapping's first `sync`; its lanes are the
    places of all spatial loops. `ifmap` [N, G C, H, W] and `weight` [G K, C, R, S] say where the
    operands are non-zero; a machine that does not skip one's zeros is given None. Where it skips
    the ifmap's, it skips those of the padding. Raises InputError on a mask of another size.
    """
    loops = zip(mapping.loops, mapping.trips(layer), strict=True)
    counts = [(1, n) if loop.axis else (n, 1) for loop, n in loops]
    windows, lanes = prod(n for n, _ in counts[:sync]), prod(n for _, n in counts)
    work = np.zeros((windows, lanes), np.int64)
    masks = {"ifmap": ifmap, "weight": weight}
    for numbers, counted in work_by_windows(layer, mapping, sync, masks):
        work[numbers] = counted
    return work


def barrier_cycles(work: Integers) -> int:
    """Cycles of lanes with `work` [window, lane] that all wait for the last one in each window."""
    return int(work.max(axis=1, initial=0).sum())


def sync_point(mapping: Mapping, level: str) -> int:
    """Loops before the place where lanes wait that go on together whenever a tile of `level` does.

    That is its innermost store; the lanes of a mapping that does not use the level never wait.
    """
    names = {tensor for node in mapping if isinstance(node, Store) for tensor in node.tensors}
    stores = (store for tensor in names for store in mapping.stores(tensor))
    return max((before for name, before in stores if name == level), default=0)


# Queues behind a broadcast


def queue_cycles(work: Integers, *, depth: int) -> int:
    """Cycles of lanes with `work` [step, lane] behind queues that hold `depth` steps each.

    One step a cycle is put into all queues, unless at the beginning of the cycle one is full. A
    lane takes its next step from the cycle after on, when it is done with the one before. It spends
    a cycle even on a step in which it has nothing: to read where its non-zeros lie.
    """
    if depth < 1:
        raise InputError(f"depth = {depth}: must be at least 1")
    return int(behind_queues(np.maximum(work, 1), depth))


@compiled()
def behind_queues(work: Integers, depth: int) -> Any:
    steps, lanes = work.shape
    free = np.zeros(lanes, np.int64)
    taken = np.full((depth, lanes), -1)
    sent = -1
    for step in range(steps):
        slot = taken[step % depth]
        sent = max(sent, slot.max()) + 1
        for lane in range(lanes):
            slot[lane] = max(free[lane], sent + 1)
            free[lane] = slot[lane] + work[step, lane]
    return free.max()


def column_entries(weight: Mask, *, lanes: int, index_bits: int) -> Integers:
    """Entries of each column that each lane holds, [column, lane], of a matrix [row, column].

    Lane k owns rows k, k + lanes, ... An entry is a non-zero, or the padding zero that stands where
    the run of zeros before a non-zero fills `index_bits`. Runs begin anew with each column.
    """
    rows, columns = weight.shape
    own = -(-rows // lanes)
    padded = np.zeros((own * lanes, columns), bool)
    padded[:rows] = weight
    kept = padded.reshape(own, lanes, columns)
    at = np.arange(own, dtype=np.int32)[:, None, None]
    last = np.maximum.accumulate(np.where(kept, at, np.int32(-1)), axis=0)
    before = np.concatenate((np.full((1, lanes, columns), -1, np.int32), last[:-1]))
    entries = np.where(kept, 1 + ((at - before - 1) >> index_bits), 0)
    each: Integers = entries.sum(axis=0, dtype=np.int64).T
    return each


# Rounds of packed rows


def packed_rounds(nonzeros: Integers, *, multipliers: int, carried: int = 1) -> int:
    """Rounds that whole rows with so many `nonzeros` each take on an array of multipliers.

    Rows are packed in order; one that does not fit in what is left begins a new round. A row longer
    than the array has rounds to itself, and in all but the first of them `carried` multipliers
    bring in its psum. A row of zeros takes no room.
    """
    if not 0 <= carried < multipliers:
        raise InputError(f"carried = {carried}: must lie in 0..{multipliers - 1}")
    rounds, left = 0, 0
    for count in nonzeros.tolist():
        if count > multipliers:
            rounds += 1 + -(-(count - multipliers) // (multipliers - carried))
            left = 0
        elif count > left:
            rounds += 1
            left = multipliers - count
        else:
            left -= count
    return rounds
