"""Weight stationary: each PE keeps one weight; psums wait in the buffer for the next filter row.

    r  channels, t  filters whose R x S weights lie in the array at once
    f  ofmap columns of one strip, which sets the length of the line buffers

All images pass before the weights change, so the buffer holds the psums of t filters of the whole
batch. The line buffers between filter rows take room in the buffer and are not charged.
"""

import numpy as np

from hwsim.validation._isca2016_reuse import (
    Reuse,
    Reuses,
    column_halo,
    columns_of,
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
    """With the most filters t that fit."""
    r, f = crossed(tiles(layer.C), sizes(layer.Q))
    psums = layer.N * layer.P * layer.Q
    lines = r * (columns_of(layer, f) - layer.S) * (layer.R - 1)
    of_array = chip.pes // (r * layer.R * layer.S)
    t = np.minimum(np.minimum(of_array, layer.K), chip.buffer // (psums + lines))
    return {"r": r, "t": t, "f": f}


def _fits(layer: Layer, chip: Chip, params: Params) -> Bools:
    r, t, f = (params[name] for name in "rtf")
    lines = r * t * (columns_of(layer, f) - layer.S) * (layer.R - 1)
    in_buffer = layer.N * t * layer.P * layer.Q + lines <= chip.buffer
    return (t >= 1) & in_buffer & (r * t * layer.R * layer.S <= chip.pes)


def _reuses(layer: Layer, params: Params) -> Reuses:
    r, t, f = (params[name] for name in "rtf")
    accumulations = layer.C * layer.R * layer.S
    return Reuses(
        ifmap=Reuse(
            a=folds(layer.K, t) * column_halo(layer, f),
            ab=None,
            abc=layer.K * uses_of_ifmap_value(layer),
            abcd=None,
        ),
        weight=Reuse(a=1, ab=None, abc=None, abcd=layer.N * layer.P * layer.Q),
        psum=Reuse(a=1, ab=folds(layer.C, r) * layer.R, abc=accumulations, abcd=accumulations),
    )


WEIGHT_STATIONARY = Dataflow(rf_words=1, candidates=_candidates, fits=_fits, reuses=_reuses)
