"""Random mappings are valid, many kinds of them are drawn, and the plot shows where they lie."""

from collections.abc import Iterable
from functools import cache
from itertools import product
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure

from hwsim.constraints import FREE, Constraints, admits
from hwsim.cost import cost
from hwsim.dataflow_rules import Dataflow
from hwsim.errors import MappingError
from hwsim.hardware import Accelerator, load_machine
from hwsim.map_space import Point, Space, front, points, sampled
from hwsim.mapping import Mapping, Store, validate
from hwsim.objective import POWERS, Objective, value
from hwsim.registry import names
from hwsim.workload import DIMS, TENSORS, Layer, Op
from plots._style import image
from plots.mapping_space import draw_space
from tests import machines
from tests.strategies import layers

LAYERS = (
    Layer(name="conv", G=2, K=12, C=6, P=9, Q=7, R=5, S=3, N=2, stride_h=2),
    Layer(name="linear", op=Op.LINEAR, K=1000, C=200),
    Layer(name="large", N=4, K=512, C=512, P=28, Q=30, R=3, S=3, pad_h=1, pad_w=1),
    Layer(name="pool", op=Op.POOL, G=64, P=28, Q=26, R=2, S=3, stride_h=2, stride_w=2),
    Layer(name="one"),
)
MACHINE = machines.machine()
CONV = LAYERS[0]


def drawn(
    layer: Layer,
    machine: Accelerator,
    *,
    count: int = 50,
    seed: int = 0,
    constraints: Constraints = FREE,
) -> list[Mapping]:
    return list(sampled(layer, machine, count=count, seed=seed, constraints=constraints))


# Sampling


@pytest.mark.parametrize("machine", names("machine"))
@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
def test_samples_are_valid(machine: str, layer: Layer) -> None:
    where = load_machine(machine)
    bits = min(8, where.mac.weight_bits)
    narrow = layer.at_bits(ifmap=8, weight=bits, ofmap=8, psum=where.mac.psum_bits)
    found = drawn(narrow, where)
    assert len(found) == 50
    for mapping in found:
        validate(mapping, narrow, where)
        assert all(trips > 1 for trips in mapping.trips(narrow))


@settings(deadline=None, max_examples=50)
@given(layers(points=5000), machines.deep_machines(), st.integers(0, 2**32 - 1))
def test_samples_are_valid_on_deep_machines(layer: Layer, where: Accelerator, seed: int) -> None:
    for mapping in drawn(layer, where, count=4, seed=seed):
        validate(mapping, layer, where)


def test_the_same_seed_gives_the_same_mappings() -> None:
    assert drawn(CONV, MACHINE, seed=3) == drawn(CONV, MACHINE, seed=3)
    assert drawn(CONV, MACHINE, seed=3) != drawn(CONV, MACHINE, seed=4)


def test_samples_are_of_many_kinds() -> None:
    """Every bypass, every dimension on every axis, ragged tiles, all PEs and few of them."""
    found = drawn(CONV, MACHINE, count=2000)
    assert len(set(found)) > 1900
    kept = {
        frozenset(store for store in product(("GLB", "spad"), TENSORS) if store in _kept(mapping))
        for mapping in found
    }
    assert len(kept) == 2**6
    spread = {(loop.axis, loop.dim) for mapping in found for loop in mapping.loops if loop.axis}
    assert spread == set(product("XY", DIMS))
    pes = {mapping.active_pes(CONV) for mapping in found}
    assert {1, 12} <= pes
    assert len({mapping.loops[0].dim for mapping in found}) == len(DIMS)
    assert any(CONV.P % loop.tile for m in found for loop in m.loops if loop.dim == "P")


def _kept(mapping: Mapping) -> set[tuple[str, str]]:
    return {(n.level, tensor) for n in mapping if isinstance(n, Store) for tensor in n.tensors}


def test_every_mapping_of_a_tiny_layer_is_drawn() -> None:
    """K = 2 and C = 2 on one PE and a buffer for everything or nothing: few, and all of them."""
    where = machines.machine(machines.dram_level(), machines.glb_level())
    layer = Layer(name="tiny", K=2, C=2)
    orders = {
        tuple(loop.dim for loop in mapping.loops) for mapping in drawn(layer, where, count=300)
    }
    assert orders == {("K", "C"), ("C", "K")}
    places = {
        tuple(dict(mapping.stores(tensor)).get("GLB") for tensor in TENSORS)
        for mapping in drawn(layer, where, count=3000)
    }
    assert places == set(product((None, 0, 1, 2), repeat=3))


@pytest.mark.parametrize("dataflow", get_args(Dataflow))
def test_samples_obey_a_dataflow(dataflow: Dataflow) -> None:
    constraints = Constraints(dataflow=dataflow)
    found = drawn(CONV, MACHINE, constraints=constraints, count=100)
    assert found
    assert all(admits(constraints, mapping, CONV, MACHINE) for mapping in found)


def test_samples_obey_constraints() -> None:
    constraints = Constraints(
        bypass={"GLB": ("weight",)},
        keep={"spad": ("ifmap", "weight", "ofmap")},
        spatial={"X": ("K", "P"), "Y": ()},
        tiles={"spad": {"C": 2}, "GLB": {"P": 4, "Q": 5}},
    )
    found = drawn(CONV, MACHINE, constraints=constraints)
    assert len(found) == 50
    for mapping in found:
        validate(mapping, CONV, MACHINE)
        assert admits(constraints, mapping, CONV, MACHINE)


def test_what_fits_nowhere_is_named() -> None:
    tiny = machines.sized(machines.GLB, 40).model_copy(update={"bypass": False})
    where = machines.machine(machines.dram_level(), machines.glb_level(tiny))
    with pytest.raises(MappingError, match=r"layer 'conv': GLB: ifmap 16 .* bits exceed 40"):
        drawn(CONV, where)


def test_what_may_bypass_a_memory_too_small_for_it_does() -> None:
    tiny = machines.sized(machines.GLB, 20)
    where = machines.machine(machines.dram_level(), machines.glb_level(tiny))
    for mapping in drawn(CONV, where):
        validate(mapping, CONV, where)


# Points


def test_points_are_costs() -> None:
    mappings = drawn(CONV, MACHINE, count=5)
    costs = [cost(CONV, mapping, MACHINE) for mapping in mappings]
    assert points(CONV, MACHINE, mappings) == tuple(
        Point(found.energy_pj, found.cycles) for found in costs
    )
    found = costs[0]
    of = found.energy_pj, found.cycles
    assert value("energy", *of) == found.energy_pj
    assert value("cycles", *of) == found.cycles
    assert value("edp", *of) == found.energy_pj * found.cycles
    assert value("ed2p", *of) == pytest.approx(found.energy_pj * found.cycles**2)


@given(st.lists(st.builds(Point, st.integers(1, 9).map(float), st.integers(1, 9))))
def test_the_front_is_what_nothing_beats(drawn: list[Point]) -> None:
    def beaten(point: Point) -> bool:
        return any(
            other != point and other.energy_pj <= point.energy_pj and other.cycles <= point.cycles
            for other in drawn
        )

    assert set(front(drawn)) == {point for point in drawn if not beaten(point)}


# The plot


BEST = Point(2e6, 2000)


@cache
def space(objective: Objective, *, found: int = 1, max_cycles: int | None = None) -> Space:
    """Samples about twice as dear as the best, or more, and a bound right below it."""
    of_energy, of_cycles = POWERS[objective]
    best = BEST.energy_pj**of_energy * float(BEST.cycles) ** of_cycles
    return Space(
        title="Mappings on made up\nK=12 C=6",
        samples=tuple(Point(4e6 * n, 4000 * (1 + n * 7 % 50)) for n in range(1, 100)),
        found=tuple(Point(BEST.energy_pj * n, BEST.cycles // n) for n in range(1, found + 1)),
        label="best mapping",
        objective=objective,
        lower_bound=0.99 * best if found == 1 else None,
        max_cycles=max_cycles,
    )


def figure(shown: Space) -> Figure:
    drawn = draw_space(shown)
    drawn.draw_without_rendering()
    return drawn


def _labels(shown: Figure) -> Iterable[str]:
    (legend,) = shown.legends
    return [text.get_text() for text in legend.get_texts()]


@pytest.mark.parametrize("objective", POWERS)
def test_axes_are_logarithmic_and_have_units(objective: Objective) -> None:
    (axes,) = figure(space(objective)).axes
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("cycles", "energy (µJ)")
    assert axes.get_title(loc="left").startswith("Mappings on made up")


@pytest.mark.parametrize("objective", POWERS)
def test_the_legend_names_what_is_drawn_and_covers_no_data(objective: Objective) -> None:
    shown = figure(space(objective, max_cycles=9000))
    said = " ".join(_labels(shown))
    for part in ("99 random mappings", "front", "best mapping", "lower bound of", "9,000 cycles"):
        assert part in said
    box = shown.legends[0].get_window_extent()
    assert not box.overlaps(shown.axes[0].get_window_extent())
    assert box.x1 <= shown.bbox.x1


@pytest.mark.parametrize("objective", POWERS)
def test_the_bound_passes_just_below_the_best(objective: Objective) -> None:
    """Each drawn point of the bound is 0.99 of the best, by the objective's own definition."""
    (axes,) = figure(space(objective)).axes
    (line,) = [line for line in axes.lines if str(line.get_label()).startswith("lower bound")]
    of_energy, of_cycles = POWERS[objective]
    for cycles, microjoules in np.asarray(line.get_xydata()).tolist():
        at = (microjoules * 1e6) ** of_energy * cycles**of_cycles
        best = BEST.energy_pj**of_energy * BEST.cycles**of_cycles
        assert at == pytest.approx(0.99 * best)


def test_a_bound_under_a_limit_ends_there() -> None:
    (axes,) = figure(space("energy", max_cycles=9000)).axes
    (line,) = [line for line in axes.lines if str(line.get_label()).startswith("lower bound")]
    assert np.max(line.get_xdata()) == pytest.approx(9000)


def test_a_front_has_no_bound() -> None:
    shown = figure(space("edp", found=3))
    assert not any("bound" in label for label in _labels(shown))


def test_no_samples_are_drawn_as_none() -> None:
    few = Space(title="x", samples=(), found=(BEST,), label="best mapping", objective="edp")
    assert "0 random mappings" in _labels(figure(few))


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_the_same_space_gives_the_same_bytes(suffix: str) -> None:
    first, second = (image(draw_space(space("edp")), suffix) for _ in range(2))
    assert first == second
