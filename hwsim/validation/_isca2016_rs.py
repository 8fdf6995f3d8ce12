"""Row stationary: a PE keeps rows of filters and slides along ifmap rows.

A PE set is R rows by e columns of PEs and makes a strip of e ofmap rows.

    m  filters whose psums the buffer keeps      n  images of one pass
    p  filters of one PE                         q  channels of one PE
    r  sets of different channels                t  sets of different filters

Weights go from DRAM into the PEs past the buffer.
"""

import numpy as np

from hwsim.validation._isca2016_reuse import (
    Reuse,
    Reuses,
    row_halo,
    rows_of,
    stored_columns,
    stored_rows,
    uses_of_ifmap_value,
)
from hwsim.validation._isca2016_search import (
    Bools,
    Chip,
    Dataflow,
    Params,
    crossed,
    folds,
    sizes,
    tiles,
)
from hwsim.workload import Layer


def _candidates(layer: Layer, chip: Chip) -> Params:
    """With the most filters m that the buffer holds and the most sets t that the array does."""
    p, q = crossed(tiles(layer.K, chip.rf), tiles(layer.C, chip.rf))
    in_rf = (p + q * layer.S + p * q * layer.S) <= chip.rf
    e, r = crossed(sizes(layer.P), tiles(layer.C, chip.pes))
    in_array = layer.R * e * r <= chip.pes
    n, of_pe, of_set = crossed(tiles(layer.N), np.flatnonzero(in_rf), np.flatnonzero(in_array))
    p, q, e, r = p[of_pe], q[of_pe], e[of_set], r[of_set]
    free = chip.buffer - n * q * r * rows_of(layer, e) * stored_columns(layer)
    m = np.clip(free // (n * e * layer.Q), 0, layer.K)
    t = np.minimum(chip.pes // (layer.R * e * r), m // p)
    return {"m": m, "n": n, "e": e, "p": p, "q": q, "r": r, "t": t}


def _fits(layer: Layer, chip: Chip, params: Params) -> Bools:
    m, n, e, p, q, r, t = (params[name] for name in "mnepqrt")
    ifmap = n * q * r * rows_of(layer, e) * stored_columns(layer)
    in_buffer = n * m * e * layer.Q + ifmap <= chip.buffer
    in_array = layer.R * e * r * t <= chip.pes
    in_rf = p * q * layer.S + q * layer.S + p <= chip.rf
    return (t >= 1) & in_buffer & in_array & in_rf & (q * r <= layer.C) & (p * t <= m)


def _reuses(layer: Layer, params: Params) -> Reuses:
    m, n, e, p, q, r, t = (params[name] for name in "mnepqrt")
    halo = row_halo(layer, e)
    return Reuses(
        ifmap=Reuse(
            a=folds(layer.K, m) * halo,
            ab=folds(layer.K, p * t) * halo,
            abc=folds(layer.K, p) * layer.R * layer.P / stored_rows(layer),
            abcd=layer.K * uses_of_ifmap_value(layer),
        ),
        weight=Reuse(
            a=folds(layer.N, n) * folds(layer.P, e),
            ab=None,
            abc=folds(layer.N, n) * layer.P,
            abcd=layer.N * layer.P * layer.Q,
        ),
        psum=Reuse(
            a=1,
            ab=folds(layer.C, q * r),
            abc=folds(layer.C, q) * layer.R,
            abcd=layer.C * layer.R * layer.S,
        ),
    )


ROW_STATIONARY = Dataflow(rf_words=256, candidates=_candidates, fits=_fits, reuses=_reuses)
