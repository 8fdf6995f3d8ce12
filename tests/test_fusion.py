"""Fused chains: every part and word by walking elements, every schedule by hand on tiny chains."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim._chain import Chain, Cut, Schedule
from hwsim.errors import InputError, MappingError
from hwsim.found import Found, Question
from hwsim.fusion import fuse
from hwsim.hardware import Accelerator
from hwsim.homes import with_homes
from hwsim.mapping import validate
from hwsim.objective import POWERS
from hwsim.residence import keep_on_chip
from hwsim.simulate import search
from hwsim.workload import Layer, Network, Op, Tensor, Zeros
from tests import oracle
from tests.chains import BITS, Block, Walk, chains, cut_out, cuts
from tests.machines import (
    DRAM,
    GLB,
    GRID,
    dram_level,
    glb_level,
    machine,
    sized,
    slotted,
    spad_level,
)


def buffered(bits: int = 2**20, *, padded: bool = False) -> Accelerator:
    return machine(
        dram_level(),
        glb_level(sized(slotted(GLB, BITS), bits)),
        GRID,
        spad_level(),
        dataflow="output_stationary",
        stores_padding=padded,
    )


@given(chains(), st.data(), st.booleans())
@settings(max_examples=120, deadline=None)
def test_parts_words_and_room_equal_the_walk(
    layers: tuple[Layer, ...], data: st.DataObject, padded: bool
) -> None:
    chain = Chain(layers, buffered(padded=padded))
    last = layers[-1]
    tile = tuple(data.draw(st.integers(1, bound)) for bound in (last.N, last.P, last.Q))
    assert len(tile) == 3
    for schedule in chain.schedules([tile]):
        check(chain, schedule, padded=padded)


def check(chain: Chain, schedule: Schedule, *, padded: bool) -> None:
    cut, layers = Cut(chain, schedule), chain.layers
    walk = Walk(layers, schedule, padded).run()
    for place, layer in enumerate(layers):
        pieces = list(cut.pieces(place))
        sums = {
            "made": sum(piece.times * piece.layer.words("ofmap") for piece in pieces),
            "touched": sum(
                piece.times * oracle.touched(piece.layer, "ifmap", padding=padded)
                for piece in pieces
            ),
            "operations": sum(piece.times * piece.layer.operations for piece in pieces),
        }
        points = layer.N * layer.G * layer.K * walk.made[place]
        assert sums["made"] == points
        assert sums["operations"] == points * layer.C * layer.R * layer.S
        assert sums["touched"] == layer.N * layer.G * layer.C * walk.touched[place]
    if schedule.loaded:
        copied = sum(x.times * x.layer.words("ifmap") for x in cut.loads() if x.tensor == "ifmap")
        assert copied == layers[0].N * layers[0].G * layers[0].C * walk.copied
    check_rooms(cut, walk)


def check_rooms(cut: Cut, walk: Walk) -> None:
    """The room for maps holds what must be there, and no more than a block and its margins."""
    layers = cut.chain.layers
    first = 0 if cut.schedule.loaded else 1
    weights = sum(
        layer.words("weight") * BITS
        for layer, kept in zip(layers, cut.schedule.weights_kept, strict=True)
        if kept
    )
    for place in range(len(layers)):
        rooms = cut.rooms(place)
        maps_bits = rooms.get(("GLB", "ofmap"), 0)
        needed = sum(
            cut.schedule.n
            * layers[tensor].G
            * layers[tensor].C
            * walk.live[tensor, place if place in (tensor - 1, tensor) else -2]
            for tensor in range(first, len(layers))
        )
        assert maps_bits >= needed * BITS
        assert rooms.get(("GLB", "weight"), 0) == weights


def test_what_waits_between_strips_is_a_line_and_a_corner() -> None:
    """By hand: 3 x 3 windows on 6 x 8, tiles of 2 x 2 read 4 x 4, of which 2 rows, 2 columns
    again. While the other layer runs, 2 lines of 8 wait, and of 2 columns 2 rows more."""
    chain = Chain(TINY, buffered())
    cut = Cut(chain, Schedule(n=1, p=2, q=2, **CACHED, loaded=True, weights_kept=(False, False)))
    assert cut.rooms(0) == {("GLB", "ofmap"): BITS * (2 * (4 * 4 + 2 * (8 - 4)) + 3 * 2 * 2)}
    assert cut.rooms(1) == {("GLB", "ofmap"): BITS * (2 * (2 * (8 - 2) + 2 * 4) + 3 * 2 * 2)}


CACHED = {"rows_cached": True, "columns_cached": True}
TINY = (
    Layer(name="wide", K=3, C=2, P=4, Q=6, R=3, S=3).at_bits(ifmap=8, weight=8, ofmap=8, psum=8),
    Layer(name="point", K=2, C=3, P=4, Q=6).at_bits(ifmap=8, weight=8, ofmap=8, psum=8),
)
HALOED = (
    Layer(name="first", K=2, C=1, P=4, Q=2, S=2),
    Layer(name="second", K=1, C=2, P=4, Q=2, R=3, pad_h=1),
)
STRIDED = (
    Layer(name="first", N=2, K=2, C=2, P=5, Q=3, R=2),
    Layer(name="pool", N=2, op=Op.POOL, G=2, P=2, Q=2, R=2, S=2, H=5, W=3, stride_h=2),
)
VALUES = {
    "energy": lambda energy_pj, cycles: energy_pj,
    "cycles": lambda energy_pj, cycles: cycles,
    "edp": lambda energy_pj, cycles: energy_pj * cycles,
    "ed2p": lambda energy_pj, cycles: energy_pj * cycles * cycles,
}
LINK = 4  # bits a cycle


class Memo:
    """The search by energy, whatever is asked; each layer once on each machine."""

    def __init__(self) -> None:
        self.known: dict[tuple[Layer, str], Found | None] = {}

    def __call__(self, question: Question) -> Found:
        layer, found = question.layer, question.machine
        key = replace(layer, name=""), str((found.homes, found.level("GLB").memories))
        if key not in self.known:
            self.known[key] = self._search(layer, found)
        answer = self.known[key]
        if answer is None:
            raise MappingError("fits no mapping")
        return answer

    def _search(self, layer: Layer, found: Accelerator) -> Found | None:
        try:
            answer = search(Question(layer=layer, machine=found, objective="energy", effort=0))
        except MappingError:
            return None
        validate(answer.mapping, layer, found)
        return answer


def linked(bits: int) -> Accelerator:
    """A machine with a slow DRAM and a buffer of so many bits."""
    dram = {"read_bits_per_cycle": LINK, "write_bits_per_cycle": LINK, "shared_port": True}
    glb = slotted(sized(GLB, bits), 16)
    return machine(
        dram_level(DRAM.model_copy(update=dram)),
        glb_level(glb),
        GRID,
        spad_level(),
        dataflow="output_stationary",
    )


def every_schedule(layers: tuple[Layer, ...]) -> list[Schedule]:
    """All, those that differ in nothing that happens among them."""
    last, flags = layers[-1], (False, True)
    kept = product(*(flags if layer.weighted else (False,) for layer in layers))
    tiles = product(*(range(1, bound + 1) for bound in (last.N, last.P, last.Q)))
    return [
        Schedule(
            n=n, p=p, q=q, rows_cached=down, columns_cached=across, loaded=loaded, weights_kept=keep
        )
        for (n, p, q), keep, down, across, loaded in product(tiles, kept, flags, flags, flags)
    ]


def cost_by_hand(
    layers: tuple[Layer, ...], found: Accelerator, schedule: Schedule, memo: Memo
) -> tuple[float, float] | None:
    """Energy and cycles of a schedule, tile by tile, each layer's part cut out by itself."""
    walk, cut = Blocks(layers, schedule), Cut(Chain(layers, found), schedule)
    copied_bits = sum(
        layer.words("weight") * 16
        for layer, kept in zip(layers, schedule.weights_kept, strict=True)
        if kept
    )
    energy_pj, cycles = 0.0, 0.0
    for n, place, made, copied in walk.run():
        part = cut_out(layers[place], n, made)
        derived = with_homes(found, homes(layers, schedule, place), cut.rooms(place))
        if derived is None:
            return None
        try:
            cost = memo(Question(layer=part, machine=derived, effort=0)).cost
        except MappingError:
            return None
        energy_pj, cycles = energy_pj + cost.energy_pj, cycles + cost.cycles
        if place == 0 and schedule.loaded:
            bits = n * layers[0].G * layers[0].C * copied * 16
            copied_bits += bits
    transfer_cycles = copied_bits / LINK
    return energy_pj + copied_bits * (211 + 31) + transfer_cycles * (37 + 41), (
        cycles + transfer_cycles
    )


def homes(layers: tuple[Layer, ...], schedule: Schedule, place: int) -> dict[str, str]:
    stays = {
        "ifmap": place > 0 or schedule.loaded,
        "weight": schedule.weights_kept[place],
        "ofmap": place + 1 < len(layers),
    }
    return {tensor: "GLB" for tensor, here in stays.items() if here}


@dataclass
class Blocks:
    """(images, layer, block made, elements copied of the first ifmap) of each part of each tile."""

    layers: tuple[Layer, ...]
    schedule: Schedule

    def run(self) -> Iterator[tuple[int, int, Block, int]]:
        walk = Walk(self.layers, self.schedule, padded=False)
        for images in cuts(self.layers[-1].N, self.schedule.n):
            for place, made, copied in walk.parts():
                if made:
                    yield len(images), place, made, copied


@pytest.mark.parametrize(
    ("layers", "bits"),
    [
        pytest.param(HALOED, 2**16, marks=pytest.mark.slow),
        (HALOED, 700),
        pytest.param(STRIDED, 900, marks=pytest.mark.slow),
        (STRIDED, 500),
    ],
)
def test_no_schedule_of_a_tiny_chain_is_better(layers: tuple[Layer, ...], bits: int) -> None:
    found, memo = linked(bits), Memo()
    costs = [cost_by_hand(layers, found, schedule, memo) for schedule in every_schedule(layers)]
    fitting = [cost for cost in costs if cost]
    for objective in POWERS:
        best = min(VALUES[objective](*cost) for cost in fitting)
        answer = fuse(layers, found, search=memo, objective=objective)
        assert answer.value == pytest.approx(best, rel=1e-9)
        assert answer.lower_bound == answer.value
        assert answer.evaluated <= answer.schedules


def test_a_chain_in_one_tile_is_an_ofmap_that_stays() -> None:
    found, memo = linked(2**16), Memo()
    network = Network("two", HALOED, (("first", "second"),))
    staying = keep_on_chip(network, found, search=memo, objective="energy")
    plain = fuse(HALOED, found, search=memo, objective="energy", tiles=[(1, 4, 2)])
    assert [resident.producer for resident in staying.kept] == ["first"]
    assert not plain.loads
    assert plain.totals == staying.totals
    assert plain.apart == staying.totals_apart


def test_time_that_runs_out_leaves_an_honest_gap() -> None:
    found, memo = linked(700), Memo()
    hurried = fuse(HALOED, found, search=memo, objective="energy", budget_s=0.0)
    patient = fuse(HALOED, found, search=memo, objective="energy")
    assert hurried.evaluated < patient.evaluated
    assert hurried.lower_bound <= patient.value <= hurried.value


@pytest.mark.parametrize(("cached", "rows"), [(False, 2 + 3 + 3 + 2), (True, 2 + 1 + 1)])
def test_parts_made_again_count_as_macs(cached: bool, rows: int) -> None:
    """3 filter rows on 4 padded rows: tiles of one row read 2, 3, 3 and 2."""
    schedule = Schedule(n=1, p=1, q=2, rows_cached=cached, weights_kept=(False, False))
    pieces = Cut(Chain(HALOED, linked(2**16)), schedule).pieces(0)
    assert sum(piece.times * piece.layer.macs for piece in pieces) == rows * HALOED[0].macs // 4


def test_zeros_are_known_by_their_share() -> None:
    zeros = Zeros.of([[[[1, 0, 0]] * 4]])
    sparse = (replace(HALOED[0], ifmap=Tensor(zeros=zeros)), HALOED[1])
    assert Chain(sparse, linked(2**16)).layers[0].ifmap == Tensor(density=1 / 3)


@pytest.mark.parametrize(
    ("layers", "complaint"),
    [
        (HALOED[:1], "a chain has at least two layers"),
        (HALOED[::-1], r"'first' reads an ifmap of \(1, 1, 4, 3\), not the \(1, 1, 4, 2\) that"),
    ],
)
def test_layers_that_are_no_chain_are_refused(layers: tuple[Layer, ...], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        fuse(layers, linked(2**16), search=Memo())


def test_a_machine_that_cannot_says_so() -> None:
    with pytest.raises(
        MappingError, match=r"'first \+ second' fits no schedule .* GLB is too small"
    ):
        fuse(HALOED, linked(32), search=Memo())
    split = glb_level(
        GLB.model_copy(update={"tensors": ("ifmap", "weight")}),
        GLB.model_copy(update={"tensors": ("ofmap",)}),
    )
    with pytest.raises(MappingError, match="no buffer holds both ifmaps and ofmaps"):
        fuse(HALOED, machine(dram_level(), split, GRID, spad_level()), search=Memo())
