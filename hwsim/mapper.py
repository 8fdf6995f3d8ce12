"""work in progress"""
import time
from functools import lru_cache
from itertools import product
import numpy as np
from numba import types
from numba.typed import Dict
KEY = types.UniTuple(types.int64, 12)
VALUE = types.UniTuple(types.float64, 2)
from hwsim.cost import cost
from hwsim.mapping import Loop, Mapping, Store, overflow
from hwsim.search import kernels as kn
from hwsim.search.problem import groups, problem, windows
from hwsim.search.structures import structures
from hwsim.simulate import accumulated
from hwsim.workload import DIMS

_structures = structures


def state(most=1):
    z = np.zeros
    return kn.State(
        pe=np.ones((8, 8), np.int64), ext=np.ones((12, 8), np.int64),
        sx=np.ones(8, np.int64), sy=np.ones(8, np.int64), steps=np.ones(8, np.int64),
        hub=np.ones(8, np.int64), n=np.ones(8, np.int64), words=z((16, 4)), first=z(16),
        value=np.array([1e300]), energy=z(1), rows=Dict.empty(KEY, VALUE), sent=z((2, 3, 2)), free=z(1, np.int64), count=z(4, np.int64),
        leaf_value=z(most), leaf=z((most, 40, 8), np.int64))


def search(layer, machine, objective, collect=0, verbose=False):
    pr = problem(layer, machine, objective)
    st = state(max(collect, 1))
    gs = list(groups(_structures(machine, layer.tensors, windows(layer)), layer, machine))
    low = min_floor(pr, gs)
    slack = 0.01
    tot = np.zeros(4, np.int64)
    while True:
        limit = pr.const + (low - pr.const) * (1 + slack)
        st.value[0] = limit
        leaves = []
        t0 = time.perf_counter()
        tf = 0
        for g, o, members in gs:
            st.count[:] = 0
            t = time.perf_counter()
            f = kn.set_floors(pr, g, o, st)
            tf += time.perf_counter() - t
            t = time.perf_counter()
            kn.search_group(pr, g, o, st, 1 if collect else 0)
            t = time.perf_counter() - t
            tot += st.count
            if verbose and t > 0.05:
                print('   ', round(t, 3), members[0].risen is not None and members[0].outer[members[0].risen].tensor, [k.tensor for k in members[0].inner], st.count, st.value)
            for c in range(min(st.count[0], max(collect, 1))):
                leaves.append((st.leaf_value[c], members[st.leaf[c, 0, 0]], st.leaf[c].copy()))
        if verbose:
            print('pass', slack, limit, len(leaves), round(time.perf_counter() - t0, 4), 'floors', round(tf, 4), tot)
        if leaves:
            break
        slack *= 1.6
    leaves.sort(key=lambda x: x[0])
    return leaves, tot


def min_floor(pr, gs):
    low = 1e300
    for g, o, members in gs:
        for i in range(len(members)):
            e = pr.const + kn.mac_floor(pr, g)
            n = o.n[i]
            for t, l, pa in [(o.tensors[i, k], o.levels[i, k], o.parents[i, k]) for k in range(n)] + list(zip(g.tensors, g.levels, g.parents)):
                w = pr.base[t]
                if t == 0:
                    w *= pr.plain_h[-1, -1] * pr.plain_w[-1, -1]
                c = pr.coef[t, pa, l]
                e += w * (c.sum() - c[3] * (t == 2)) - (pr.base[2] * (c[0] + c[2]) if t == 2 else 0)
            low = min(low, e)
    return low


def realise(layer, machine, s, leaf):
    """Mappings of a leaf."""
    ext, pe, sx, sy = leaf[4:], leaf[16:], leaf[1], leaf[2]
    axes = [a for arr in machine.arrays for a in arr.axes]
    levels = [l.level for l in machine.levels]
    arr = [min(int(pe[0, d] * sx[d] * sy[d]), layer.bounds[DIMS[d]]) for d in range(8)]
    for rnd in (True, False):
      for slides in product("PQRSN", repeat=sum(k.tensor == "ifmap" for k in s.stores)):
        slides = list(slides)
        nodes = [Store(levels[0], layer.tensors)]
        now = dict(layer.bounds)

        def loops(to, slide):
            order = [d for d in DIMS if d != slide] + ([slide] if slide else [])
            for d in order:
                t = to[DIMS.index(d)]
                if t < now[d]:
                    nodes.append(Loop(d, int(t)))
                    now[d] = int(t)

        for k in range(len(s.outer) + 1):
            to = [int(v) for v in ext[k + 1]]
            for d in range(8):
                b = layer.bounds[DIMS[d]]
                if to[d] < b:
                    if k == len(s.outer):
                        to[d] = arr[d]
                    elif rnd:
                        to[d] = min(-(-to[d] // arr[d]) * arr[d], b)
                    to[d] = max(to[d], arr[d])
            is_i = k < len(s.outer) and s.outer[k].tensor == "ifmap"
            loops(to, slides.pop(0) if is_i else None)
            if k < len(s.outer) and k != s.risen:
                nodes.append(Store(levels[s.outer[k].level], (s.outer[k].tensor,)))
        for d in range(8):
            dim = DIMS[d]
            c = int(pe[0, d])
            for a, tile, n in zip(axes, (c * int(sy[d]), c), (sx[d], sy[d])):
                if n > 1 and tile < now[dim]:
                    nodes.append(Loop(dim, tile, a))
                    now[dim] = tile
        if s.risen is not None:
            nodes.append(Store(levels[s.outer[s.risen].level], (s.outer[s.risen].tensor,)))
        for j in range(len(s.inner) + 1):
            is_i = j < len(s.inner) and s.inner[j].tensor == "ifmap"
            loops([int(v) for v in pe[j + 1]] , slides.pop(0) if is_i else None)
            if j < len(s.inner):
                nodes.append(Store(levels[s.inner[j].level], (s.inner[j].tensor,)))
        loops([1] * 8, None)
        m = Mapping(tuple(nodes))
        if overflow(m, layer, machine) is None:
            yield m


def best(layer, machine, objective="energy", **kw):
    layer = accumulated(layer, machine)
    t = time.perf_counter()
    leaves, tot = search(layer, machine, objective, **kw)
    v, s, leaf = leaves[0]
    found = min(((cost(layer, m, machine), m) for m in dict.fromkeys(realise(layer, machine, s, leaf))), key=lambda x: x[0].energy_pj, default=None)
    return v, found, tot, time.perf_counter() - t, s
