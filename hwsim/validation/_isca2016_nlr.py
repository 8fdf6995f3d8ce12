"""No local reuse: no register files; every operand comes from the buffer each time.

    p  filters, q  channels that the array works on at once
    m  filters, n  images, e  ofmap rows, f  ofmap columns whose psums the buffer keeps

A column of q PEs adds its products into one psum, which returns to the buffer for each of the
R x S filter positions.
"""

import numpy as np

from hwsim.validation._isca2016_reuse import (
    Reuse,
    Reuses,
    column_halo,
    columns_of,
    row_halo,
    rows_of,
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
    """With the most filters, m in the buffer and p in the array, that fit."""
    n, q, e, f = crossed(tiles(layer.N), tiles(layer.C, chip.pes), sizes(layer.P), sizes(layer.Q))
    free = chip.buffer - n * q * rows_of(layer, e) * columns_of(layer, f)
    m = np.clip(free // (q * layer.R * layer.S + n * e * f), 0, layer.K)
    return {"m": m, "n": n, "p": np.minimum(chip.pes // q, m), "q": q, "e": e, "f": f}


def _fits(layer: Layer, chip: Chip, params: Params) -> Bools:
    m, n, p, q, e, f = (params[name] for name in "mnpqef")
    ifmap = n * q * rows_of(layer, e) * columns_of(layer, f)
    in_buffer: Bools = ifmap + m * q * layer.R * layer.S + n * m * e * f <= chip.buffer
    in_array: Bools = p * q <= chip.pes
    return (p >= 1) & in_buffer & in_array & (p <= m)


def _reuses(layer: Layer, params: Params) -> Reuses:
    m, n, p, q, e, f = (params[name] for name in "mnpqef")
    window = layer.R * layer.S
    uses = uses_of_ifmap_value(layer)
    strips = folds(layer.P, e) * folds(layer.Q, f)
    return Reuses(
        ifmap=Reuse(
            a=folds(layer.K, m) * row_halo(layer, e) * column_halo(layer, f),
            ab=folds(layer.K, p) * uses,
            abc=layer.K * uses,
            abcd=None,
        ),
        weight=Reuse(
            a=folds(layer.N, n) * strips, ab=layer.N * layer.P * layer.Q, abc=None, abcd=None
        ),
        psum=Reuse(a=1, ab=folds(layer.C, q) * window, abc=layer.C * window, abcd=layer.C * window),
    )


NO_LOCAL_REUSE = Dataflow(rf_words=0, candidates=_candidates, fits=_fits, reuses=_reuses)
