"""A layer on a machine as the numbers that the compiled search works with."""

from itertools import pairwise

import numpy as np

from hwsim.cost import arithmetic_pj
from hwsim.hardware import Accelerator, Array
from hwsim.mapping import kept_bits
from hwsim.search.kernels import CO, DL, RD, WR, Group, Outer, Problem, plain_rows
from hwsim.search.structures import Structure
from hwsim.sparsity import tensor_bits
from hwsim.technology import array_noc_pj_per_bit, memory_pj_per_bit
from hwsim.traffic import coded_bits
from hwsim.skipping import performed_share
from hwsim.workload import DIMS, RELEVANT, TENSORS, Layer

POWERS = {"energy": (1, 0), "cycles": (0, 1), "edp": (1, 1), "ed2p": (1, 2)}


def windows(layer: Layer) -> frozenset[str]:
    """Dimensions that slide over the ifmap."""
    return frozenset(
        dim for pair in ("PR", "QS") for dim in pair if min(layer.bounds[d] for d in pair) > 1
    )


def tile_sizes(bound: int) -> list[int]:
    """The smallest tile for each number of tiles, largest first."""
    sizes, tile = [], bound
    while tile:
        tile = -(-bound // -(-bound // tile))
        sizes.append(tile)
        tile -= 1
    return sizes


def problem(layer: Layer, machine: Accelerator, objective: str) -> Problem:
    b = np.array([layer.bounds[d] for d in DIMS], np.int64)
    rel = np.array([[d in RELEVANT[t] for d in DIMS] for t in TENSORS])
    has = np.array([t in layer.tensors for t in TENSORS])
    geo = np.array([
        _geometry(layer.stride_h, layer.dilation_h, layer.pad_h, layer.H, machine.stores_padding),
        _geometry(layer.stride_w, layer.dilation_w, layer.pad_w, layer.W, machine.stores_padding),
    ], np.int64)
    plain_h = np.zeros((layer.P + 1, layer.R + 1), np.int64)
    plain_w = np.zeros((layer.Q + 1, layer.S + 1), np.int64)
    plain_rows(layer.P, layer.R, geo[0], plain_h)
    plain_rows(layer.Q, layer.S, geo[1], plain_w)
    sizes = [tile_sizes(layer.bounds[d]) for d in DIMS]
    table = np.zeros((8, max(map(len, sizes))), np.int64)
    for i, own in enumerate(sizes):
        table[i, : len(own)] = own
    win = windows(layer)
    mem, word, room = _memories(layer, machine)
    array = machine.arrays[0] if machine.arrays else None
    axes = [*(array.axes.values() if array else ()), 1, 1]
    busy = performed_share(layer, machine.mac)
    ones_h, ones_w = plain_h[1, 1], plain_w[1, 1]
    leak = machine.control.leakage_mw / machine.clock_mhz * 1e3
    return Problem(
        b=b, rel=rel, has=has,
        win=np.array(["P" in win, "Q" in win]),
        geo=geo,
        span=np.array([layer.H + 2 * layer.pad_h, layer.W + 2 * layer.pad_w], np.int64),
        plain_h=plain_h, plain_w=plain_w,
        base=np.array([
            layer.operands * layer.N * layer.G * layer.C,
            layer.G * layer.K * layer.C * layer.R * layer.S,
            layer.N * layer.G * layer.K * layer.P * layer.Q,
        ], float),
        ops=float(layer.operations),
        mac_i=float(layer.operands * layer.N * layer.G * layer.C * layer.K * ones_h * ones_w),
        operands=layer.operands,
        sizes=table, counts=np.array([len(own) for own in sizes], np.int64),
        mem=mem, word=word, room=room,
        coef=_prices(layer, machine),
        const=arithmetic_pj(layer, machine) + _finished(layer, machine),
        x=axes[0], y=axes[1],
        shared=np.array([array is None or t in array.shared for t in TENSORS]),
        power=np.array(POWERS[objective], np.int64),
        clock=machine.control.clock_pj_per_cycle + leak,
        timing=np.zeros(1),
    )


def _geometry(stride, dilation, pad, size, padding):
    return (stride, dilation, *((0, size + 2 * pad) if padding else (pad, size + pad)))


def _memories(layer, machine):
    mem = np.full((len(machine.levels), 3), -1, np.int64)
    word = np.zeros((len(machine.levels), 3), np.int64)
    room = [2.0**62]
    for i, level in enumerate(machine.levels):
        for memory in level.memories if i else ():
            for t in memory.tensors:
                mem[i, TENSORS.index(t)] = len(room)
                word[i, TENSORS.index(t)] = kept_bits(layer, memory, t)
            room.append(memory.usable_bits)
    return mem, word, np.array(room)


def _prices(layer, machine):
    count = len(machine.levels)
    coef = np.zeros((3, count, count + 1, 4))
    for i, tensor in enumerate(TENSORS):
        if tensor not in layer.tensors:
            continue
        for parent in range(count):
            for child in range(parent + 1, count + 1):
                coef[i, parent, child] = _price(layer, machine, tensor, parent, child)
    return coef


def _price(layer, machine, tensor, parent, child):
    """pJ a word read, written, delivered, collected."""
    levels = machine.levels
    above = levels[parent].memory(tensor)
    below = levels[child].memory(tensor) if child < len(levels) else None
    if above is None or (child < len(levels) and below is None):
        return np.zeros(4)
    read, write = memory_pj_per_bit(above, machine.technology)
    share = 1.0
    if child == len(levels) and levels[parent].component == "spad":
        from hwsim.cost import _ungated_share

        share = performed_share(layer, machine.mac)
        share *= 1.0 if tensor == "ifmap" else _ungated_share(layer, machine)
    bits = layer.psum.bits if tensor == "ofmap" else layer.tensor(tensor).bits
    outer = machine.depth(levels[parent].level)
    inner = len(machine.hierarchy) if child == len(levels) else machine.depth(levels[child].level)
    noc = sum(
        part.word_bits(bits) * array_noc_pj_per_bit(part, machine.technology)
        for part in machine.hierarchy[outer:inner] if isinstance(part, Array)
    )
    if tensor == "ofmap":
        up = kept_bits(layer, above, "ofmap")
        down = kept_bits(layer, below, "ofmap") if below else 0.0
    else:
        up = coded_bits(layer, above, tensor)
        down = coded_bits(layer, below, tensor) if below else 0.0
    dr, dw = memory_pj_per_bit(below, machine.technology) if below else (0.0, 0.0)
    if tensor == "ofmap":
        return np.array([up * read * share, up * write * share - noc, down * dw + noc, down * dr + noc])
    return np.array([up * read * share, 0.0, down * dw + noc, 0.0])


def _finished(layer, machine):
    """What finished ofmaps cost more in DRAM than psums."""
    dram = machine.levels[0].memory("ofmap")
    if dram.cell != "dram":
        return 0.0
    _, write = memory_pj_per_bit(dram, machine.technology)
    return layer.words("ofmap") * write * (
        coded_bits(layer, dram, "ofmap") - kept_bits(layer, dram, "ofmap")
    )


def groups(structures: tuple[Structure, ...], layer, machine):
    """Structures by what they have from the array down."""
    found: dict[tuple, list[Structure]] = {}
    for s in structures:
        found.setdefault(_key(s), []).append(s)
    for key, members in found.items():
        yield _group(members[0], machine), _outer(members, machine), members


def _last_level(s: Structure, tensor: str) -> int:
    return max((k.level for k in s.stores if k.tensor == tensor), default=0)


def _parent(s: Structure, store) -> int:
    return max((k.level for k in s.stores if k.tensor == store.tensor and k.level < store.level), default=0)


def _key(s: Structure):
    parents = tuple(_parent(s, store) for store in s.inner)
    last = tuple(_last_level(s, t) for t in TENSORS)
    return (None if s.risen is None else s.outer[s.risen], s.inner, s.inner_slots, parents, last)


def _mask(dims):
    return [d in dims for d in DIMS]


def _group(s: Structure, machine) -> Group:
    split = next((i for i, part in enumerate(machine.hierarchy) if isinstance(part, Array)), 99)
    risen = None if s.risen is None else s.outer[s.risen]
    last = [_last_level(s, t) for t in TENSORS]
    return Group(
        risen=TENSORS.index(risen.tensor) if risen else -1,
        risen_level=risen.level if risen else 0,
        tensors=np.array([TENSORS.index(k.tensor) for k in s.inner], np.int64),
        levels=np.array([k.level for k in s.inner], np.int64),
        parents=np.array([_parent(s, k) for k in s.inner], np.int64),
        masks=np.array([_mask(slot) for slot in s.inner_slots]),
        mac_parent=np.array(last, np.int64),
        mac_inner=np.array([level >= split for level in last]),
    )


def _outer(members, machine) -> Outer:
    split = next((i for i, part in enumerate(machine.hierarchy) if isinstance(part, Array)), 99)
    most = max(max(len(s.outer) for s in members), 1)
    count = len(members)
    tensors, levels, parents = (np.zeros((count, most), np.int64) for _ in range(3))
    masks = np.zeros((count, most + 1, 8), np.bool_)
    last = np.full((count, 8), -1, np.int64)
    for i, s in enumerate(members):
        for k, store in enumerate(s.outer):
            tensors[i, k], levels[i, k] = TENSORS.index(store.tensor), store.level
            parents[i, k] = _parent(s, store)
        for k, slot in enumerate(s.outer_slots):
            masks[i, k] = _mask(slot)
            for d, dim in enumerate(DIMS):
                if dim in slot:
                    last[i, d] = k
    return Outer(
        n=np.array([len(s.outer) for s in members], np.int64),
        tensors=tensors, levels=levels, parents=parents, masks=masks, last=last,
        floor=np.zeros(count), known=np.zeros(count, np.bool_),
        inner_level=np.array([i >= split for i in range(len(machine.levels))]),
    )
