"""Output stationary (OSA, OSB, OSC): a psum stays in a PE's register until it is finished.

The three differ in which ofmap values the array makes at once:

    OSA  one channel, many positions (SOC-MOP)     n images, e rows, f columns
    OSB  many channels and positions (MOC-MOP)     n images, p filters, f columns of one row
    OSC  many channels, one position (MOC-SOP)     n images, p filters

m is the number of filters whose weights the buffer keeps, whole; the ifmap beside them is what all
channels of the positions in the array need. Every operand of every MAC crosses the array.
"""

import numpy as np

from hwsim.validation._isca2016_reuse import (
    Count,
    Ints,
    Reuse,
    Reuses,
    column_halo,
    columns_of,
    row_halo,
    rows_of,
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


def _with_filters(layer: Layer, chip: Chip, params: Params, ifmap: Ints) -> Params:
    """With the most filters m that the buffer holds beside the ifmap."""
    m = np.clip((chip.buffer - ifmap) // (layer.C * layer.R * layer.S), 0, layer.K)
    return params | {"m": m}


def _in_buffer(layer: Layer, chip: Chip, params: Params, ifmap: Ints) -> Bools:
    return params["m"] * layer.C * layer.R * layer.S + ifmap <= chip.buffer


def _split(layer: Layer, *, from_dram: Count, from_buffer: Count, weight: Count) -> Reuses:
    """`weight`: times that a weight leaves the buffer."""
    return Reuses(
        ifmap=Reuse(
            a=from_dram, ab=from_buffer, abc=layer.K * uses_of_ifmap_value(layer), abcd=None
        ),
        weight=Reuse(a=1, ab=weight, abc=layer.N * layer.P * layer.Q, abcd=None),
        psum=Reuse(a=1, ab=1, abc=1, abcd=layer.C * layer.R * layer.S),
    )


def _osa_ifmap(layer: Layer, params: Params) -> Ints:
    rows, columns = rows_of(layer, params["e"]), columns_of(layer, params["f"])
    return params["n"] * layer.C * rows * columns


def _osa_candidates(layer: Layer, chip: Chip) -> Params:
    n, e, f = crossed(tiles(layer.N), sizes(layer.P), sizes(layer.Q))
    params = {"n": n, "e": e, "f": f}
    return _with_filters(layer, chip, params, _osa_ifmap(layer, params))


def _osa_fits(layer: Layer, chip: Chip, params: Params) -> Bools:
    m, n, e, f = (params[name] for name in "mnef")
    in_buffer = _in_buffer(layer, chip, params, _osa_ifmap(layer, params))
    return (m >= 1) & in_buffer & (n * e * f <= chip.pes)


def _osa_reuses(layer: Layer, params: Params) -> Reuses:
    m, n, e, f = (params[name] for name in "mnef")
    halo = row_halo(layer, e) * column_halo(layer, f)
    return _split(
        layer,
        from_dram=folds(layer.K, m) * halo,
        from_buffer=layer.K * halo,
        weight=folds(layer.N, n) * folds(layer.P, e) * folds(layer.Q, f),
    )


def _osb_ifmap(layer: Layer, params: Params) -> Ints:
    return params["n"] * layer.C * layer.R * columns_of(layer, params["f"])


def _osb_candidates(layer: Layer, chip: Chip) -> Params:
    """With the most filters p in the array, too."""
    n, f = crossed(tiles(layer.N), sizes(layer.Q))
    params = {"n": n, "f": f}
    params = _with_filters(layer, chip, params, _osb_ifmap(layer, params))
    return params | {"p": np.minimum(chip.pes // (n * f), params["m"])}


def _osb_fits(layer: Layer, chip: Chip, params: Params) -> Bools:
    m, n, p, f = (params[name] for name in "mnpf")
    in_buffer = _in_buffer(layer, chip, params, _osb_ifmap(layer, params))
    return (p >= 1) & in_buffer & (n * p * f <= chip.pes) & (p <= m)


def _osb_reuses(layer: Layer, params: Params) -> Reuses:
    m, n, p, f = (params[name] for name in "mnpf")
    # Of a row's window only the columns slide: each ofmap row fetches its R ifmap rows again.
    fetches = layer.R * layer.P / stored_rows(layer) * column_halo(layer, f)
    return _split(
        layer,
        from_dram=folds(layer.K, m) * fetches,
        from_buffer=folds(layer.K, p) * fetches,
        weight=folds(layer.N, n) * layer.P * folds(layer.Q, f),
    )


def _osc_ifmap(layer: Layer, params: Params) -> Ints:
    return params["n"] * layer.C * layer.R * layer.S


def _osc_candidates(layer: Layer, chip: Chip) -> Params:
    """With the most filters p in the array, too."""
    params = {"n": tiles(layer.N)}
    params = _with_filters(layer, chip, params, _osc_ifmap(layer, params))
    return params | {"p": np.minimum(chip.pes // params["n"], params["m"])}


def _osc_fits(layer: Layer, chip: Chip, params: Params) -> Bools:
    m, n, p = (params[name] for name in "mnp")
    in_buffer = _in_buffer(layer, chip, params, _osc_ifmap(layer, params))
    return (p >= 1) & in_buffer & (n * p <= chip.pes) & (p <= m)


def _osc_reuses(layer: Layer, params: Params) -> Reuses:
    m, n, p = (params[name] for name in "mnp")
    uses = uses_of_ifmap_value(layer)
    return _split(
        layer,
        from_dram=folds(layer.K, m) * uses,
        from_buffer=folds(layer.K, p) * uses,
        weight=folds(layer.N, n) * layer.P * layer.Q,
    )


# Register files: the psum, and for sliding windows the columns (and rows) of AlexNet's CONV1.
OSA = Dataflow(
    rf_words=1 + 4 + 4 * 11, candidates=_osa_candidates, fits=_osa_fits, reuses=_osa_reuses
)
OSB = Dataflow(rf_words=1 + 4, candidates=_osb_candidates, fits=_osb_fits, reuses=_osb_reuses)
OSC = Dataflow(rf_words=1, candidates=_osc_candidates, fits=_osc_fits, reuses=_osc_reuses)
