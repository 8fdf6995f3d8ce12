"""The equations, the area and the search behind the dataflow study, on small made-up layers.

Oracles: the paper's worked examples; the simulator's exact access counts, where every parameter
divides what it cuts and no window slides; plain enumeration of every parameter.
"""

from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.dataflows._parts import nest
from hwsim.mapping import Loop, Node, Store
from hwsim.reuse import access_counts
from hwsim.validation._isca2016_exact import NESTS, exact_accesses
from hwsim.validation._isca2016_reuse import (
    PRINTED_HOPS,
    RECOMPUTED_HOPS,
    PerLevel,
    Reuse,
    accesses_per_mac,
    energy_parts,
    input_accesses,
    psum_accesses,
)
from hwsim.validation._isca2016_search import Chip, Params, choice, crossed, least
from hwsim.validation._isca2016_storage import (
    PE_LOGIC_UM2,
    UM2_PER_BYTE,
    buffer_bytes,
    machine_um2,
    memory_um2,
    storage_um2,
)
from hwsim.validation._isca2016_study import DATAFLOWS
from hwsim.workload import Layer

ROOMY = Chip(pes=10**6, buffer=10**9, rf=10**6)
# What each parameter cuts.
CUTS = dict(zip("mnpqrtef", "KNKCCKPQ", strict=True))


# Equations


def test_the_papers_example_of_an_input() -> None:
    """a, b, c, d = 1, 2, 3, 4: a value used 24 times."""
    accesses = input_accesses(Reuse(a=1, ab=2, abc=6, abcd=24))
    assert accesses == (1, 2, 6, 24)
    assert energy_parts(accesses).total() == 1 * 200 + 2 * 6 + 6 * 2 + 24 * 1


@pytest.mark.parametrize("hops", [PRINTED_HOPS, RECOMPUTED_HOPS])
def test_the_papers_example_of_a_psum(hops: int) -> None:
    """a, b, c, d = 2, 3, 3, 2: 36 accumulations."""
    a, b, c, d = 2, 3, 3, 2
    accesses = psum_accesses(Reuse(a=a, ab=a * b, abc=a * b * c, abcd=36), hops=hops)
    inner = 2 * a * b * c * (d - 1)
    assert accesses == (2 * a - 1, 2 * a * (b - 1), hops * a * b * (c - 1), inner)


def test_a_bypassed_level_is_free() -> None:
    assert input_accesses(Reuse(a=3, ab=None, abc=6, abcd=None)) == (3, 0, 6, 0)
    bypassed = Reuse(a=1, ab=None, abc=None, abcd=8)
    assert psum_accesses(bypassed, hops=RECOMPUTED_HOPS) == (1, 0, 0, 14)


# Area


def test_area_of_a_byte_meets_the_table_and_falls_between() -> None:
    for size, um2 in UM2_PER_BYTE.items():
        assert memory_um2(size) == pytest.approx(size * um2)
    assert memory_um2(3) == pytest.approx(3 * (103.47 + 172.07) / 2)
    assert memory_um2(131072) == pytest.approx(131072 * 12.70)
    assert memory_um2(0) == 0


def test_every_dataflow_fills_the_same_area() -> None:
    for pes, flow in ((pes, flow) for pes in (256, 512, 1024) for flow in DATAFLOWS.values()):
        rf_bytes = 2 * flow.rf_words
        size = buffer_bytes(pes, rf_bytes=rf_bytes)
        assert pes * memory_um2(rf_bytes) + memory_um2(size) == pytest.approx(storage_um2(pes))
        assert flow.chip(pes) == (pes, int(size / 2), flow.rf_words)
    assert buffer_bytes(256, rf_bytes=512) == pytest.approx(256 * 512)
    assert machine_um2(256) - storage_um2(256) == pytest.approx(256 * PE_LOGIC_UM2)


# The dataflows' splits beside exact access counts


@st.composite
def even_layers(draw: st.DrawFn, params: str) -> tuple[Layer, dict[str, int]]:
    """A layer whose windows do not overlap, and parameters that divide their dimensions.

    m is a multiple of p t. Every dimension takes more than one tile, or a tensor could stay where
    the equations fetch it again.
    """
    small = st.integers(1, 3)
    chosen = {name: draw(small) for name in params}
    folds = {dim: draw(st.integers(2, 3)) for dim in "KNCPQ"}
    tile = {dim: prod(chosen[name] for name in params if CUTS[name] == dim) for dim in "KNCPQ"}
    if "m" in params:
        chosen["m"] = tile["K"]
    rows, columns = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    bounds: dict[str, Any] = {dim: tile[dim] * folds[dim] for dim in "KNCPQ"}
    layer = Layer(
        name="even",
        G=draw(st.integers(1, 2)),
        R=rows,
        S=columns,
        stride_h=rows,
        stride_w=columns,
        **bounds,
    )
    return layer, chosen


def _as_arrays(params: dict[str, int]) -> Params:
    return {name: np.array(value) for name, value in params.items()}


def _as_floats(accesses: PerLevel) -> list[float]:
    return [float(count) for count in accesses]


@pytest.mark.parametrize(
    ("dataflow", "params"),
    [("RS", "mneqprt"), ("OSA", "mnef"), ("OSB", "mnpf"), ("OSC", "mnp"), ("NLR", "mnpqef")],
)
@pytest.mark.parametrize("hops", [PRINTED_HOPS, RECOMPUTED_HOPS])
def test_the_splits_are_exact_counts_where_all_divides(
    dataflow: str, params: str, hops: int
) -> None:
    @settings(max_examples=25, deadline=None)
    @given(even_layers(params))
    def check(drawn: tuple[Layer, dict[str, int]]) -> None:
        layer, chosen = drawn
        reuses = DATAFLOWS[dataflow].reuses(layer, _as_arrays(chosen))
        split = accesses_per_mac(layer, reuses, hops=hops)
        exact = exact_accesses(dataflow, layer, chosen, ROOMY, reuses, hops=hops)
        assert _as_floats(split) == pytest.approx(_as_floats(exact), rel=1e-12)

    assert dataflow in NESTS
    check()


@settings(max_examples=25, deadline=None)
@given(even_layers("rt"))
def test_weight_stationary_on_single_weights(drawn: tuple[Layer, dict[str, int]]) -> None:
    """Filters of one weight, which no ifmap value passes through: a loop nest after all."""
    layer, chosen = drawn
    layer = replace(layer, R=1, S=1, stride_h=1, stride_w=1, H=layer.P, W=layer.Q)
    r, t = chosen["r"], chosen["t"]
    nodes: list[Node] = [
        *(Store("DRAM", layer.tensors), Loop("G", 1), Loop("K", t), Store("GLB", ("ofmap",))),
        *(Loop("C", r), Loop("K", 1, "X"), Loop("C", 1, "X"), Store("RF", ("weight",))),
        *(Loop(dim, 1) for dim in "NPQ"),
    ]
    shared = {"X": frozenset(layer.tensors)}
    links = {
        (k.tensor, k.parent): k for k in access_counts(layer, nest(layer, nodes), shared=shared)
    }
    reuses = DATAFLOWS["WS"].reuses(layer, _as_arrays(chosen | {"f": layer.Q}))
    split = accesses_per_mac(layer, reuses, hops=RECOMPUTED_HOPS)
    ifmap, psums = links["ifmap", "DRAM"], links["ofmap", "GLB"]
    exact = (
        ifmap.reads + links["weight", "DRAM"].reads + links["ofmap", "DRAM"].writes,
        2 * psums.reads,
        ifmap.delivered + 2 * (psums.collected - psums.writes),
        links["weight", "RF"].reads,
    )
    assert _as_floats(split) == pytest.approx([count / layer.macs for count in exact], rel=1e-12)


# The search


SMALL = st.builds(
    Layer,
    name=st.just("small"),
    N=st.integers(1, 3),
    G=st.integers(1, 2),
    K=st.integers(1, 5),
    C=st.integers(1, 4),
    P=st.integers(1, 3),
    Q=st.integers(1, 4),
    R=st.integers(1, 3),
    S=st.integers(1, 2),
    stride_h=st.integers(1, 2),
    stride_w=st.integers(1, 3),
)
TIGHT = st.builds(Chip, st.integers(1, 40), st.integers(5, 400), st.integers(1, 40))


@pytest.mark.parametrize("dataflow", DATAFLOWS)
def test_the_search_finds_what_enumeration_finds(dataflow: str) -> None:
    flow = DATAFLOWS[dataflow]

    @settings(max_examples=40, deadline=None)
    @given(SMALL, TIGHT)
    def check(layer: Layer, chip: Chip) -> None:
        names = list(flow.candidates(layer, chip))
        every = crossed(*(np.arange(1, layer.bounds[CUTS[name]] + 1) for name in names))
        params = dict(zip(names, every, strict=True))
        fits = flow.fits(layer, chip, params)
        found = least(flow, layer, chip)
        assert (found is None) == (not fits.any())
        if found is not None:
            reuses = flow.reuses(layer, {name: values[fits] for name, values in params.items()})
            energies = energy_parts(accesses_per_mac(layer, reuses)).total()
            assert found.energy - 1 == pytest.approx(np.min(energies), rel=1e-12)
            assert flow.fits(layer, chip, _as_arrays(found.params))
            assert choice(flow, layer, found.params) == found

    check()
