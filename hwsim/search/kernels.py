"""Compiled search (work in progress)."""

from typing import Any, NamedTuple

import numpy as np
from numba import njit

N, G, K, C, P, Q, R, S = range(8)
I, W, O = range(3)
RD, WR, DL, CO = range(4)
BIG = 1e300
# The order in which dimensions are spread, the windows' axes first; and the place of each in it.
SPREAD = np.array([P, R, Q, S, C, K, N, G])
RANK = np.array([6, 7, 5, 4, 0, 2, 1, 3])


class Problem(NamedTuple):
    b: Any            # [8] bounds
    rel: Any          # [3, 8] whether a tensor has a dimension
    has: Any          # [3] whether the layer has the tensor
    win: Any          # [2] windowed axis h, w
    geo: Any          # [2, 4] stride, dilation, first, end
    span: Any         # [2] H + 2 pad, W + 2 pad
    plain_h: Any      # [P + 1, R + 1] rows sent in tiles of that size
    plain_w: Any
    base: Any         # [3] words but for the window axes
    ops: float
    mac_i: float      # ifmap operands that exist
    operands: int
    sizes: Any        # [8, most]
    counts: Any       # [8]
    mem: Any          # [levels, 3] memory id
    word: Any         # [levels, 3] bits of a word there
    room: Any         # [memories] bits
    coef: Any         # [3, levels, levels + 1, 4] pJ a word
    const: float
    x: int
    y: int
    shared: Any       # [3] whether the array shares a tensor
    power: Any        # [2] exponents of energy and cycles in the objective
    clock: float      # pJ per cycle
    timing: Any       # see clock.py


class Group(NamedTuple):
    """Structures that are alike from the array down."""

    risen: int        # tensor, or -1
    risen_level: int
    tensors: Any      # [inner]
    levels: Any
    parents: Any
    masks: Any        # [inner + 1, 8]
    mac_parent: Any   # [3] level of the last store
    mac_inner: Any    # [3] whether it lies inside the PEs


class Outer(NamedTuple):
    """The stores above the array, of each structure of a group."""

    n: Any            # [structures]
    tensors: Any      # [structures, most]
    levels: Any
    parents: Any
    masks: Any        # [structures, most + 1, 8]
    last: Any         # [structures, 8] last slot that lets a dimension loop, -1 if none
    floor: Any        # [structures] least energy of the outer links
    known: Any        # [structures] whether that is known
    inner_level: Any  # [levels] whether a level lies inside the PEs


@njit(cache=True, inline="always")
def _up(a, b):
    return (a + b - 1) // b


@njit(cache=True)
def _gcd(a, b):
    while b:
        a, b = b, a % b
    return a


@njit(cache=True)
def _extent(tile, window, stride, dilation):
    g = _gcd(stride, dilation)
    return tile * window - max(tile - dilation // g, 0) * max(window - stride // g, 0)


@njit(cache=True)
def tile_words(p, t, e):
    """Words of a tile of extents e."""
    if t == W:
        return e[G] * e[K] * e[C] * e[R] * e[S]
    if t == O:
        return e[N] * e[G] * e[K] * e[P] * e[Q]
    rows = min(_extent(e[P], e[R], p.geo[0, 0], p.geo[0, 1]), p.span[0])
    cols = min(_extent(e[Q], e[S], p.geo[1, 0], p.geo[1, 1]), p.span[1])
    return p.operands * e[N] * e[G] * e[C] * rows * cols


@njit(cache=True)
def plain_rows(bp, br, geo, out):
    """Rows that tiles of each size (p, r) are sent without sliding, all tiles together."""
    stride, dilation, first, end = geo
    seen = np.zeros(max(end, 1), np.int64)
    stamp = 0
    for p in range(1, bp + 1):
        for r in range(1, br + 1):
            total = 0
            for p0 in range(0, bp, p):
                for r0 in range(0, br, r):
                    stamp += 1
                    for i in range(p0, min(p0 + p, bp)):
                        for j in range(r0, min(r0 + r, br)):
                            at = i * stride + j * dilation
                            if first <= at < end and seen[at] != stamp:
                                seen[at] = stamp
                                total += 1
            out[p, r] = total


@njit(cache=True)
def pad_rows(bp, br, geo, pch, rch, slide):
    """(together, apart) rows that pads are sent along an axis.

    `pch`, `rch`: extents (before the last time loop above the array, of the array, of a PE, before
    the last loop inside the PE, of the pad's tile) of the two dimensions. `slide`: 0 not at all, 1
    and 2 the last loop inside the PE over the first or second dimension, 3 and 4 the last above.
    """
    stride, dilation, first, end = geo
    held, sent = np.zeros(end, np.int64), np.zeros(end, np.int64)
    pt = _pieces(bp, pch, 1 if slide == 1 else 3 if slide == 3 else 0)
    rt = _pieces(br, rch, 1 if slide == 2 else 3 if slide == 4 else 0)
    together, apart, pair, group, i = 0, 0, 0, 0, 0
    np_, nr = pt.shape[0], rt.shape[0]
    while i < np_:
        i_end = i
        while i_end < np_ and pt[i_end, 4] == pt[i, 4]:
            i_end += 1
        j = 0
        while j < nr:
            j_end = j
            while j_end < nr and rt[j_end, 4] == rt[j, 4]:
                j_end += 1
            group += 1
            for a in range(i, i_end):
                for b in range(j, j_end):
                    pair += 1
                    if slide:
                        for u in range(pt[a, 2], pt[a, 2] + pt[a, 3]):
                            for v in range(rt[b, 2], rt[b, 2] + rt[b, 3]):
                                at = u * stride + v * dilation
                                if at < end:
                                    held[at] = pair
                    for u in range(pt[a, 0], pt[a, 0] + pt[a, 1]):
                        for v in range(rt[b, 0], rt[b, 0] + rt[b, 1]):
                            at = u * stride + v * dilation
                            if at < first or at >= end or held[at] == pair:
                                continue
                            held[at] = pair
                            apart += 1
                            if sent[at] != group:
                                sent[at] = group
                                together += 1
            j = j_end
        i = i_end
    return together, apart


@njit(cache=True)
def _pieces(bound, ch, mover):
    """(first, length, first and length held before, group) of each tile of each instance."""
    before, array, pe, inside, tile = ch
    count = 0
    n = _up(bound, before) * _up(before, array) * _up(array, pe) * _up(pe, inside) * _up(inside, tile)
    out = np.zeros((n, 5), np.int64)
    group = 0
    for b0 in range(0, bound, before):
        b1 = min(b0 + before, bound)
        for a0 in range(b0, b1, array):
            a1 = min(a0 + array, b1)
            lead = min(pe, a1 - a0)
            for i0 in range(0, lead, inside):
                in1 = min(i0 + inside, lead)
                for t0 in range(i0, in1, tile):
                    for c0 in range(0, array, pe):
                        c1 = min(a0 + c0 + pe, a1)
                        start = a0 + c0 + t0
                        stop = min(start + tile, a0 + c0 + in1, c1)
                        out[count, 0] = start
                        out[count, 1] = max(stop - start, 0)
                        if mover == 1 and t0 > i0:
                            out[count, 2] = start - tile
                            out[count, 3] = max(min(tile, c1 - start + tile), 0)
                        elif mover == 3 and a0 > b0:
                            out[count, 2] = start - array
                            out[count, 3] = tile
                        else:
                            out[count, 2] = start
                        out[count, 4] = group
                        count += 1
                    group += 1
    return out[:count]


class State(NamedTuple):
    """Where the search stands, and what it found."""

    pe: Any           # [inner + 2, 8] extents inside a PE, outermost first
    ext: Any          # [outer + 2, 8] extents above the array; [0] the bounds
    sx: Any           # [8] places along the first axis
    sy: Any           # [8]
    steps: Any        # [8] time steps of each dimension
    hub: Any          # [8] extents of the array
    n: Any            # [8] time tiles above the array
    words: Any        # [outer + inner + 3, 4] words of each link
    first: Any        # [outer + inner + 3] first words of each link
    value: Any        # [1] best value so far, or the limit
    energy: Any       # [1]
    free: Any         # [1] whether nests may end anywhere
    count: Any        # [4] leaves kept, leaves seen, array tiles, PE tiles
    rows: Any         # what pads are sent along an axis, known so far
    sent: Any         # [2, 3, 2] the same now: axis; no slide, first, second dimension; both sums
    leaf_value: Any   # [most]
    leaf: Any         # [most, 40, 8]


@njit(cache=True)
def objective(p, energy, cycles):
    value = 1.0
    if p.power[0] == 1:
        value *= energy
    if p.power[1] == 1:
        value *= cycles
    elif p.power[1] == 2:
        value *= cycles * cycles
    return value


@njit(cache=True)
def set_floors(p, g, o, st):
    """Least energy of each structure's outer links, whatever the array's tile."""
    limit = st.value[0]
    base = p.const
    for j in range(g.tensors.shape[0]):
        t = g.tensors[j]
        words = p.base[t]
        if t == I:
            words *= p.plain_h[p.b[P], p.b[R]] * p.plain_w[p.b[Q], p.b[S]]
        each = p.coef[t, g.parents[j], g.levels[j]]
        base += words * (each[RD] + each[WR] + each[DL] + (each[CO] if t != O else 0.0))
        if t == O:
            base -= p.base[O] * (each[RD] + each[DL])
    base += mac_floor(p, g)
    steps = p.ops / (p.x * p.y)
    st.free[0] = 1
    for d in range(8):
        st.hub[d] = 1
        st.sx[d] = 1
        st.sy[d] = 1
        st.pe[0, d] = 1
    best = BIG
    for i in range(o.n.shape[0]):
        if o.known[i]:
            best = min(best, o.floor[i])
            continue
        for d in range(8):
            st.ext[0, d] = p.b[d]
        o.known[i] = True
        o.floor[i] = _outer_rest(p, g, o, st, i, -1, -1)
        best = min(best, o.floor[i])
    st.free[0] = 0
    st.value[0] = limit
    return best


@njit(cache=True)
def mac_floor(p, g):
    energy = 0.0
    for t in range(3):
        if p.has[t]:
            each = p.coef[t, g.mac_parent[t], p.mem.shape[0]]
            words = p.ops if t != I else p.mac_i
            if not g.mac_inner[t]:
                words = max(p.base[t], p.ops / (p.x * p.y)) if t != I else p.base[t]
            energy += words * each[RD] + words * each[WR] + p.ops * (each[DL] + each[CO])
            if t == O and not g.mac_inner[t]:
                energy -= p.base[O] * each[RD]
    return energy


@njit(cache=True)
def search_group(p, g, o, st, collect):
    """All PE tiles of a group."""
    for d in range(8):
        st.pe[0, d] = 1
    _pe_tiles(p, g, o, st, collect, 0)


@njit(cache=True)
def _open(p, g, d):
    """Whether what a PE has of a dimension may slide by below its first pad, which lacks it."""
    return g.risen >= 0 and g.masks[0, d] and not p.rel[g.risen, d] and p.win[0 if d == P or d == R else 1]


@njit(cache=True)
def _pads_fit(p, g, st, upto):
    """Whether the tiles of the pads down to `upto` inner stores fit, `upto` -1 the risen alone."""
    room = p.room.copy()
    if g.risen >= 0:
        m = p.mem[g.risen_level, g.risen]
        room[m] -= p.word[g.risen_level, g.risen] * tile_words(p, g.risen, st.pe[0])
        if room[m] < 0:
            return False
    for j in range(upto + 1):
        t, level = g.tensors[j], g.levels[j]
        m = p.mem[level, t]
        room[m] -= p.word[level, t] * tile_words(p, t, st.pe[j + 1])
        if room[m] < 0:
            return False
    return True


@njit(cache=True)
def _hopeless(p, g, o, st, known, slots):
    """Whether no PE tile is good enough that has the first `known` dimensions and inner slots."""
    k = g.tensors.shape[0]
    n, inside = np.ones(8, np.int64), np.ones((k, 8), np.int64)
    for d in range(8):
        st.sx[d], st.sy[d] = 1, 1
        top = 1 if _open(p, g, d) else 0
        if d < known and slots >= top:
            n[d] = _up(p.b[d], st.pe[top, d])
        for j in range(min(k, slots)):
            inside[j, d] = _up(st.pe[top, d], st.pe[j + 1, d])
        for j in range(slots, k):
            if slots >= top:
                inside[j, d] = _up(st.pe[top, d], st.pe[slots, d])
    energy, _ = _inner_floor(p, g, st, n, inside, 0, p.x * p.y, slots > k)
    cycles = p.ops / (p.x * p.y)
    energy += p.const + np.min(o.floor) + mac_floor(p, g)
    return objective(p, energy + p.clock * cycles, cycles) >= st.value[0]


@njit(cache=True)
def _pe_tiles(p, g, o, st, collect, d):
    """Chooses what a PE has of dimension d and those after it."""
    if d == 8:
        _inner_slots(p, g, o, st, collect, 0, 0)
        return
    allowed = False
    for j in range(g.masks.shape[0]):
        if g.masks[j, d]:
            allowed = True
    if allowed and _open(p, g, d):
        st.pe[0, d] = p.b[d]
        _pe_tiles(p, g, o, st, collect, d + 1)
        st.pe[0, d] = 1
        return
    st.pe[0, d] = 1
    if not allowed or p.b[d] == 1:
        _pe_tiles(p, g, o, st, collect, d + 1)
        return
    for i in range(p.counts[d] - 1, -1, -1):
        st.pe[0, d] = p.sizes[d, i]
        if not _pads_fit(p, g, st, -1):
            break
        if not _hopeless(p, g, o, st, d + 1, 0):
            _pe_tiles(p, g, o, st, collect, d + 1)
    st.pe[0, d] = 1


@njit(cache=True)
def _inner_slots(p, g, o, st, collect, j, d):
    """Chooses the loops of slot j inside a PE, from dimension d on."""
    k = g.tensors.shape[0]
    if d == 8:
        if j == k:
            _spread(p, g, o, st, collect)
        elif _pads_fit(p, g, st, j) and not _hopeless(p, g, o, st, 8, j + 1):
            _inner_slots(p, g, o, st, collect, j + 1, 0)
        return
    now = st.pe[j, d]
    if now == 1 or not g.masks[j, d]:
        if now > 1 and j == k:
            return
        st.pe[j + 1, d] = now
        _inner_slots(p, g, o, st, collect, j, d + 1)
        return
    later = False
    for l in range(j + 1, k + 1):
        if g.masks[l, d]:
            later = True
    if not later:
        st.pe[j + 1, d] = 1
        _inner_slots(p, g, o, st, collect, j, d + 1)
        return
    tile = now
    while True:
        st.pe[j + 1, d] = tile
        _inner_slots(p, g, o, st, collect, j, d + 1)
        if tile == 1:
            break
        tile = _up(now, _up(now, tile) + 1) if _up(now, _up(now, tile) + 1) < tile else tile - 1


@njit(cache=True)
def _spread(p, g, o, st, collect):
    """Spreads PE tiles over the array."""
    st.count[3] += 1
    k = g.tensors.shape[0]
    inside = np.ones((k, 8), np.int64)
    for j in range(k):
        for d in range(8):
            inside[j, d] = _up(st.pe[1 if _open(p, g, d) else 0, d], st.pe[j + 1, d])
    for d in range(8):
        if _open(p, g, d):
            st.pe[0, d] = st.pe[1, d]
        st.n[d] = _up(p.b[d], st.pe[0, d])
        st.sx[d] = 1
        st.sy[d] = 1
    floor = np.min(o.floor)
    _axes(p, g, o, st, collect, 0, p.x, p.y, inside, floor)
    for d in range(8):
        if _open(p, g, d):
            st.pe[0, d] = p.b[d]


@njit(cache=True)
def _shared_out(worth, most, room):
    """Least sum of worth / share, where shares are from 1 to `most` and multiply to `room`."""
    total = 0.0
    while True:
        count, product = 0, 1.0
        for j in range(worth.size):
            if worth[j] > 0.0:
                count += 1
                product *= worth[j]
        if count == 0:
            return total
        scale = (room / product) if count == 1 else (room / product) ** (1.0 / count)
        changed = False
        for j in range(worth.size):
            if worth[j] > 0.0 and worth[j] * scale >= most[j]:
                total += worth[j] / most[j]
                room /= most[j]
                worth[j] = 0.0
                changed = True
        if changed:
            continue
        for j in range(worth.size):
            if worth[j] > 0.0 and worth[j] * scale < 1.0:
                total += worth[j]
                worth[j] = 0.0
                changed = True
        if changed:
            continue
        for j in range(worth.size):
            if worth[j] > 0.0:
                total += 1.0 / scale
        return total


@njit(cache=True)
def _inner_floor(p, g, st, n, inside, d, room, final):
    """(energy of the inner links, cycles), the least once the first d dimensions are spread."""
    k = g.tensors.shape[0]
    fixed, cycles, left = 0.0, 1.0, 1.0
    rest = np.empty(8, np.int64)
    for e in range(8):
        rest[e] = _up(n[e], st.sx[e] * st.sy[e])
        cycles *= rest[e] * st.pe[0, e]
        if RANK[e] >= d:
            left *= rest[e]
    cycles /= min(left, float(room))
    last_o = -1
    for j in range(k):
        if g.tensors[j] == O:
            last_o = j
    worth, most = np.zeros(k), np.ones(k)
    for j in range(k):
        t = g.tensors[j]
        words, spread, open_ = p.base[t], 1.0, 1.0
        for e in range(8):
            if not p.rel[t, e]:
                words *= rest[e] * inside[j, e]
                spread *= st.sx[e] * st.sy[e]
                if RANK[e] >= d:
                    open_ *= rest[e]
        apart = words
        if t == I:
            if final:
                rows, places = _least_rows(p, st, j, 2 if d >= 4 else 1 if d >= 2 else 0, room)
            else:
                rows = float(p.plain_h[p.b[P], p.b[R]] * p.plain_w[p.b[Q], p.b[S]])
                places = rows
            words *= rows
            apart *= places
        each = p.coef[t, g.parents[j], g.levels[j]]
        most[j] = min(open_, float(room))
        worth[j] = words * (each[RD] + each[WR])
        if t != O:
            fixed += apart * spread * each[DL]
        else:
            worth[j] += words * each[DL]
            fixed -= p.base[O] * (each[RD] + each[DL])
            mac = p.coef[O, g.mac_parent[O], p.mem.shape[0], RD] if j == last_o else 0.0
            fixed += words * spread * each[CO]
            fixed -= mac * min(words * spread, p.base[O] * spread * most[j])
    return fixed + _shared_out(worth, most, float(room)), cycles


@njit(cache=True)
def _axes(p, g, o, st, collect, i, x, y, inside, floor):
    """Chooses the places of the dimensions on both axes, from number i of SPREAD on."""
    if i == 2 or i == 4:
        _set_rows(p, g, st, i // 2 - 1)
    energy, cycles = _inner_floor(p, g, st, st.n, inside, i, x * y, True)
    total = p.const + floor + energy + mac_floor(p, g)
    if objective(p, total + p.clock * cycles, cycles) >= st.value[0]:
        return
    if i == 8:
        _chunks(p, g, o, st, collect, inside)
        return
    d = SPREAD[i]
    n = st.n[d]
    for sx in range(1, min(x, n) + 1):
        if sx > 1 and _up(n, sx) == _up(n, sx - 1):
            continue
        for sy in range(1, min(y, _up(n, sx)) + 1):
            if sy > 1 and _up(n, sx * sy) == _up(n, sx * (sy - 1)):
                continue
            if sx > 1 and sy > 1 and _up(n, sx * sy) == _up(n, (sx - 1) * sy):
                continue
            st.sx[d], st.sy[d] = sx, sy
            _axes(p, g, o, st, collect, i + 1, x // sx, y // sy, inside, floor)
    st.sx[d], st.sy[d] = 1, 1


@njit(cache=True)
def _ifmap_pad(g):
    """The place of the ifmap among the inner stores, -1 if it is none."""
    for j in range(g.tensors.shape[0]):
        if g.tensors[j] == I:
            return j
    return -1


@njit(cache=True)
def _set_rows(p, g, st, axis):
    """What the ifmap's pads are sent along an axis whose dimensions are spread, at least."""
    j = _ifmap_pad(g)
    if j < 0:
        return
    for slide in range(3):
        _set_row(p, st, j, axis, slide)
    a = P if axis == 0 else Q
    for way in range(2):
        d = a if way == 0 else a + 2
        if j != 0 or not _open(p, g, d):
            continue
        tile = st.pe[0, d]
        most = _up(st.n[d], st.sx[d] * st.sy[d])
        for count in range(2, most + 1):
            if _up(most, count) == _up(most, count - 1):
                continue
            st.pe[0, d] = tile * count
            x, y = _pad_axis(p, st, j, axis, way + 1)
            st.sent[axis, way + 1, 0] = min(st.sent[axis, way + 1, 0], x)
            st.sent[axis, way + 1, 1] = min(st.sent[axis, way + 1, 1], y)
        st.pe[0, d] = tile


@njit(cache=True)
def _set_row(p, st, j, axis, slide):
    d = P if axis == 0 else Q
    if slide == 2:
        d += 2
    if slide and st.pe[j, d] == st.pe[j + 1, d]:
        st.sent[axis, slide, 0] = BIG
        st.sent[axis, slide, 1] = BIG
        return
    st.sent[axis, slide, 0], st.sent[axis, slide, 1] = _pad_axis(p, st, j, axis, slide)


@njit(cache=True)
def _least_rows(p, st, j, known, room):
    """(together, apart) factors of an ifmap pad, with `known` of its axes spread, at least."""
    least = np.empty((2, 2))
    slid = np.empty((2, 2))
    for axis in range(2):
        a = P if axis == 0 else Q
        table = p.plain_h if axis == 0 else p.plain_w
        if axis < known:
            for c in range(2):
                least[axis, c] = st.sent[axis, 0, c]
                slid[axis, c] = min(st.sent[axis, 1, c], st.sent[axis, 2, c])
        else:
            u = min(p.b[a], st.pe[j + 1, a] * room)
            v = min(p.b[a + 2], st.pe[j + 1, a + 2] * room)
            least[axis, 0] = table[u, v]
            least[axis, 1] = table[min(p.b[a], st.pe[j + 1, a]), min(p.b[a + 2], st.pe[j + 1, a + 2])]
            slid[axis, 0] = table[p.b[a], p.b[a + 2]]
            slid[axis, 1] = slid[axis, 0]
    found = np.empty(2)
    for c in range(2):
        found[c] = least[0, c] * least[1, c]
        found[c] = min(found[c], slid[0, c] * least[1, c])
        found[c] = min(found[c], least[0, c] * slid[1, c])
    return found[0], found[1]

@njit(cache=True)
def _chunks(p, g, o, st, collect, inside):
    """Lets every PE slide along no dimension below its first pad, or along one."""
    _hub(p, g, o, st, collect, inside)
    if g.tensors.size == 0 or g.tensors[0] != I:
        return
    for d in range(8):
        if not _open(p, g, d):
            continue
        tile = st.pe[0, d]
        most = _up(st.n[d], st.sx[d] * st.sy[d])
        count = most
        while count > 1:
            st.pe[0, d] = tile * count
            _hub(p, g, o, st, collect, inside)
            fewer = _up(most, _up(most, count) + 1)
            count = fewer if fewer < count else count - 1
        st.pe[0, d] = tile


@njit(cache=True)
def _hub(p, g, o, st, collect, inside):
    """The inner links of an array tile, then every nest around it."""
    st.count[2] += 1
    k = g.tensors.shape[0]
    cycles = 1.0
    for d in range(8):
        s, c = st.sx[d] * st.sy[d], st.pe[0, d]
        tiles = _up(_up(p.b[d], c), s)
        st.hub[d] = min(_up(p.b[d], tiles), s * c) if tiles > 1 else p.b[d]
        last = p.b[d] - (tiles - 1) * min(s * c, p.b[d])
        st.steps[d] = (tiles - 1) * c + min(c, max(last, 1)) if tiles > 1 else min(c, p.b[d])
        cycles *= st.steps[d]
    energy = p.const
    copies = 1.0
    for d in (C, R, S):
        copies *= min(st.sx[d] * st.sy[d], _up(p.b[d], st.pe[0, d]))
    for j in range(k):
        t = g.tensors[j]
        words, places = p.base[t], 1.0
        for d in range(8):
            if not p.rel[t, d]:
                s = st.sx[d] * st.sy[d]
                words *= _up(st.n[d], s) * inside[j, d]
                places *= s
        apart = words * places
        if not p.shared[t]:
            words = apart
        if t == I:
            h, w = _pad_window(p, g, st, j)
            words, apart = words * h[0] * w[0], apart * h[1] * w[1]
        each = p.coef[t, g.parents[j], g.levels[j]]
        energy += words * (each[RD] + each[WR]) + apart * each[CO]
        if t == O:
            energy += (words - p.base[O]) * each[DL] - p.base[O] * each[RD]
        else:
            energy += apart * each[DL]
    for t in range(3):
        if p.has[t]:
            level = g.mac_parent[t]
            each = p.coef[t, level, p.mem.shape[0]]
            if g.mac_inner[t]:
                if t == I:
                    energy += p.mac_i * each[RD]
                elif t == W:
                    energy += p.ops * each[RD]
                else:
                    energy += p.ops * each[WR] + (p.ops - p.base[O] * copies) * each[RD]
                energy += p.ops * (each[DL] + each[CO])
            else:
                words = p.base[t]
                for d in range(8):
                    if not p.rel[t, d]:
                        words *= st.steps[d]
                energy += words * (each[RD] + each[WR]) + p.ops * (each[DL] + each[CO])
                if t == O:
                    energy -= p.base[O] * each[RD]
    if objective(p, energy + np.min(o.floor) + p.clock * cycles, cycles) >= st.value[0]:
        return
    for i in range(o.n.shape[0]):
        if objective(p, energy + o.floor[i] + p.clock * cycles, cycles) < st.value[0]:
            for d in range(8):
                st.ext[0, d] = p.b[d]
            _outer_slots(p, g, o, st, collect, i, 0, 0, energy, cycles)


@njit(cache=True)
def _pad_window(p, g, st, j):
    """(together, apart) along both window axes that an ifmap pad is sent, the better slide."""
    best = BIG
    h0, w0 = (0.0, 0.0), (0.0, 0.0)
    for axis in range(3):
        for slide in range(3):
            if (axis == 0) != (slide == 0):
                continue
            if slide:
                d = (P, R)[slide - 1] if axis == 1 else (Q, S)[slide - 1]
                if st.pe[j, d] == st.pe[j + 1, d]:
                    continue
            h = _pad_axis(p, st, j, 0, slide if axis == 1 else 0)
            w = _pad_axis(p, st, j, 1, slide if axis == 2 else 0)
            if h[0] * w[0] + 1e-9 * h[1] * w[1] < best:
                best = h[0] * w[0] + 1e-9 * h[1] * w[1]
                h0, w0 = h, w
    return h0, w0


@njit(cache=True)
def _pad_axis(p, st, j, axis, slide):
    a, b = (P, R) if axis == 0 else (Q, S)
    if not p.win[axis]:
        rows = p.plain_h[p.b[P], p.b[R]] if axis == 0 else p.plain_w[p.b[Q], p.b[S]]
        return float(rows), float(rows)
    return _known_rows(p, st, axis, a, b, _chain(p, st, j, a), _chain(p, st, j, b), slide)


@njit(cache=True)
def _known_rows(p, st, axis, a, b, pch, rch, slide):
    key = (axis, slide, pch[0], pch[1], pch[2], pch[3], pch[4], rch[0], rch[1], rch[2], rch[3], rch[4])
    if key in st.rows:
        return st.rows[key]
    x, y = pad_rows(p.b[a], p.b[b], p.geo[axis], pch, rch, slide)
    st.rows[key] = (float(x), float(y))
    return float(x), float(y)


@njit(cache=True)
def _chain(p, st, j, d):
    c = st.pe[0, d]
    array = min(c * st.sx[d] * st.sy[d], p.b[d])
    return array, array, min(c, array), min(st.pe[j, d], array), min(st.pe[j + 1, d], array)


@njit(cache=True)
def _outer_slots(p, g, o, st, collect, i, k, d, energy, cycles):
    """Chooses the loops of slot k above the array in structure i, from dimension d on."""
    n = o.n[i]
    if d == 8:
        for e in range(8):
            if k == n and st.ext[n + 1, e] != st.hub[e] and not st.free[0]:
                return
        if k == n:
            st.count[1] += 1
            value = objective(p, energy + p.clock * cycles, cycles)
            if value < st.value[0]:
                if collect == 2:
                    st.value[0] = value
                    st.energy[0] = energy
                else:
                    _keep(p, g, o, st, collect, i, value)
            return
        if not _outer_fit(p, o, st, i, k):
            return
        energy += _outer_link(p, g, o, st, i, k, k, True)
        if objective(p, energy + _outer_rest(p, g, o, st, i, k, k) + p.clock * cycles, cycles) >= st.value[0]:
            return
        _outer_slots(p, g, o, st, collect, i, k + 1, 0, energy, cycles)
        return
    now = st.ext[k, d]
    if not o.masks[i, k, d] or now == st.hub[d]:
        st.ext[k + 1, d] = now
        if now == st.hub[d] or k < o.last[i, d] or st.free[0]:
            _outer_slots(p, g, o, st, collect, i, k, d + 1, energy, cycles)
        return
    if k == o.last[i, d] and not st.free[0]:
        st.ext[k + 1, d] = st.hub[d]
        _outer_slots(p, g, o, st, collect, i, k, d + 1, energy, cycles)
        return
    st.ext[k + 1, d] = now
    if k == n or _may_fit(p, o, st, i, k, d):
        _outer_slots(p, g, o, st, collect, i, k, d + 1, energy, cycles)
    for l in range(p.counts[d]):
        tile = p.sizes[d, l]
        if tile >= now:
            continue
        if tile < st.hub[d]:
            tile = st.hub[d]
        st.ext[k + 1, d] = tile
        if k < n and not _may_fit(p, o, st, i, k, d):
            continue
        for e in range(d + 1, 8):
            st.ext[k + 1, e] = st.ext[k, e]
        if objective(p, energy + _outer_rest(p, g, o, st, i, k - 1, k) + p.clock * cycles, cycles) >= st.value[0]:
            break
        _outer_slots(p, g, o, st, collect, i, k, d + 1, energy, cycles)
        if tile == st.hub[d]:
            break


@njit(cache=True)
def _may_fit(p, o, st, i, k, d):
    """Whether the tile of store k may fit once its slot's dimensions after d are chosen."""
    for e in range(d + 1, 8):
        st.ext[k + 1, e] = st.hub[e] if o.masks[i, k, e] else st.ext[k, e]
    return _outer_fit(p, o, st, i, k)


@njit(cache=True)
def _outer_fit(p, o, st, i, k):
    """Whether the tiles of the stores above the array down to k fit."""
    room = p.room.copy()
    for l in range(k + 1):
        t, level = o.tensors[i, l], o.levels[i, l]
        if o.inner_level[level]:
            continue
        m = p.mem[level, t]
        room[m] -= p.word[level, t] * tile_words(p, t, st.ext[l + 1])
        if room[m] < 0:
            return False
    return True


@njit(cache=True)
def _outer_link(p, g, o, st, i, k, at, exact):
    """Energy of the link to store k of structure i, its extents taken from slot `at`."""
    t, level, parent = o.tensors[i, k], o.levels[i, k], o.parents[i, k]
    words, places = p.base[t], 1.0
    risen = o.inner_level[level]
    for d in range(8):
        if not p.rel[t, d]:
            words *= _up(p.b[d], st.ext[at + 1, d])
            if risen:
                places *= st.sx[d] * st.sy[d]
    apart = words * places
    if risen and not p.shared[t]:
        words = apart
    if t == I:
        h, w = _outer_window(p, st, k, at, risen, exact)
        words, apart = words * h[0] * w[0], apart * h[1] * w[1]
    each = p.coef[t, parent, level]
    collected = each[CO]
    if risen and st.free[0]:
        collected = 0.0
    energy = words * (each[RD] + each[WR]) + apart * collected
    if t == O:
        return energy + (words - p.base[O]) * each[DL] - p.base[O] * each[RD]
    return energy + apart * each[DL]


@njit(cache=True)
def _outer_window(p, st, k, at, risen, exact):
    e = st.ext[at + 1]
    if not exact:
        h = float(p.plain_h[p.b[P], p.b[R]])
        w = float(p.plain_w[p.b[Q], p.b[S]])
        return (h, h), (w, w)
    f = st.ext[k]
    if risen and not st.free[0]:
        return _risen_window(p, st, e, f)
    h, w = float(p.plain_h[e[P], e[R]]), float(p.plain_w[e[Q], e[S]])
    best = h * w
    h0, w0 = h, w
    for x, y in ((float(p.plain_h[f[P], e[R]]), w), (float(p.plain_h[e[P], f[R]]), w),
                 (h, float(p.plain_w[f[Q], e[S]])), (h, float(p.plain_w[e[Q], f[S]]))):
        if x * y < best:
            best, h0, w0 = x * y, x, y
    return (h0, h0), (w0, w0)


@njit(cache=True)
def _risen_window(p, st, e, f):
    best = BIG
    h0, w0 = (0.0, 0.0), (0.0, 0.0)
    for way in range(5):
        if way > 0:
            d = (P, R, Q, S)[way - 1]
            if e[d] == f[d]:
                continue
        h = _risen_axis(p, st, e, f, P, R, 0, 3 if way == 1 else 4 if way == 2 else 0)
        w = _risen_axis(p, st, e, f, Q, S, 1, 3 if way == 3 else 4 if way == 4 else 0)
        if h[0] * w[0] < best:
            best, h0, w0 = h[0] * w[0], h, w
    return h0, w0


@njit(cache=True)
def _risen_axis(p, st, e, f, a, b, axis, slide):
    if not p.win[axis]:
        rows = p.plain_h[p.b[P], p.b[R]] if axis == 0 else p.plain_w[p.b[Q], p.b[S]]
        return float(rows), float(rows)
    ca, cb = min(st.pe[0, a], e[a]), min(st.pe[0, b], e[b])
    return _known_rows(p, st, axis, a, b, (f[a], e[a], ca, ca, ca), (f[b], e[b], cb, cb, cb), slide)


@njit(cache=True)
def _outer_rest(p, g, o, st, i, k, at):
    """Least energy of the links to the stores after k, by the extents of slot `at`."""
    energy = 0.0
    for l in range(k + 1, o.n[i]):
        energy += _outer_link(p, g, o, st, i, l, at, False)
    return energy


@njit(cache=True)
def _keep(p, g, o, st, collect, i, value):
    c = st.count[0]
    if not collect:
        st.value[0] = value
        c = 0
    if c < st.leaf_value.shape[0]:
        st.leaf_value[c] = value
        st.leaf[c, 0, 0] = i
        st.leaf[c, 1] = st.sx
        st.leaf[c, 2] = st.sy
        for l in range(o.n[i] + 2):
            st.leaf[c, 4 + l] = st.ext[l]
        for l in range(g.tensors.shape[0] + 2):
            st.leaf[c, 16 + l] = st.pe[l]
    st.count[0] = c + 1
