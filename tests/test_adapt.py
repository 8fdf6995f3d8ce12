"""NetAdapt, Yang et al., ECCV 2018, arXiv:1804.03230: rounds, proposals, budgets and kills."""

import copy
from itertools import product
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from compressors import adapt
from compressors._data import Data
from compressors._fit import Fit
from compressors._layers import weight_of, weighted_layers
from compressors.adapt._cost import Workload, network_cost
from compressors.adapt._cut import Cut, cut_, cuts, most
from compressors.adapt._sizes import Sizes, counts_of
from compressors.codesign import Cost, Simulator
from compressors.structure._remove import remove_
from compressors.structure._select import groups_of, remaining_groups
from compressors.weights.masked import mask_
from hwsim.errors import InputError
from hwsim.frontends.torch import network_from_torch
from hwsim.hardware import load_machine
from hwsim.simulate import simulate
from hwsim.workload import Layer
from tests.structured_networks import Joined, Residual

LAYERS = ["0", "2", "5"]


@pytest.fixture
def model() -> nn.Module:
    """Non-square images through two convolutions and two linear layers."""
    torch.manual_seed(0)
    features = (nn.Conv2d(1, 6, (3, 2)), nn.ReLU(), nn.Conv2d(6, 10, 3, stride=(1, 2)), nn.ReLU())
    return nn.Sequential(*features, nn.Flatten(), nn.Linear(160, 12), nn.ReLU(), nn.Linear(12, 3))


@pytest.fixture
def data() -> Data:
    """Three classes that differ in brightness, somewhat."""
    draw = torch.Generator().manual_seed(1)
    labels = torch.randint(3, (120,), generator=draw)
    images = torch.randn(120, 1, 8, 10, generator=draw) + 0.3 * labels[:, None, None, None]
    return Data(images=images, labels=labels)


def by_macs(layer: Layer) -> Cost:
    """A cost in closed form; other layers are free."""
    macs = layer.macs if layer.weighted else 0
    return Cost(energy_pj=3.0 * macs, latency_ms=float(macs))


def macs(first: int, second: int, third: int) -> int:
    """Of the fixture's network with so many filters, by hand."""
    return 6 * 9 * 6 * first + 4 * 4 * 9 * first * second + 16 * second * third + 3 * third


SMALL = Fit(epochs=1.0, batch=32, learning_rate=0.05)
CONFIG = adapt.Config(budget=0.6, step=0.1, decay=0.9, held_out=0.25, short=SMALL, long=SMALL)


@given(
    prices=st.lists(st.integers(0, 30), min_size=1, max_size=40).map(sorted),
    limit=st.integers(-1, 31),
)
def test_the_most_within_a_limit(prices: list[int], limit: int) -> None:
    """Against trying all; each is asked for once."""
    asked = []

    def price(count: int) -> float:
        asked.append(count)
        return prices[count]

    fitting = [n for n, price in enumerate(prices) if price <= limit]
    assert most(range(len(prices)), price, limit) == (max(fitting) if fitting else None)
    assert len(asked) == len(set(asked))


def test_proposals_are_those_of_brute_force(model: nn.Module, data: Data) -> None:
    """The fewest filters that reach the limit, of each layer alone, by the formula for MACs."""
    work = Workload.of(model, data.images[:4], batch=1, bits=8)
    groups, start = groups_of(model, LAYERS, method="netadapt"), macs(6, 10, 12)
    sizes = Sizes.of(model, groups, work)
    assert network_cost(sizes.traced, by_macs).latency_ms == start
    wide = {"0": 6, "2": 10, "5": 12}
    for share, multiple in product((0.95, 0.7, 0.4, 0.05), (1, 2, 4)):
        wanted: dict[str, int] = {}
        for path, width in wide.items():
            counts = [n for n in range(1, width) if n % multiple == 0]
            fitting = [n for n in counts if macs(*(wide | {path: n}).values()) <= share * start]
            wanted |= {path: max(fitting)} if fitting else {}
        found = cuts(
            groups,
            sizes,
            lambda network: network_cost(network, by_macs).latency_ms,
            limit=share * start,
            multiple=multiple,
        )
        assert {cut.name: cut.filters for cut in found} == wanted


@pytest.mark.parametrize(("first", "second"), [(1, 0), (4, 5)])
def test_sizes_are_those_of_the_traced_network(first: int, second: int) -> None:
    """Of a network with branches, a depthwise layer, a residual sum and a flattening."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(2, 8, 1),
        Residual(8, 6),
        Joined(8, 5, 7),
        nn.Conv2d(12, 12, 3, groups=12),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(96, 7),
        nn.ReLU(),
        nn.Linear(7, 3),
    ).eval()
    layers = [path for path in weighted_layers(model) if path != "8"]
    images = torch.randn(2, 2, 10, 7)
    work = Workload(shape=(2, 10, 7), batch=3, bits=8, densities={})
    groups = groups_of(model, layers, method="netadapt")
    sizes = Sizes.of(model, groups, work)
    keep = {}
    for turn, group in enumerate(groups):
        keep[group] = torch.ones(group.size, dtype=torch.bool)
        for atoms in group.strata:
            keep[group][atoms[: min(len(atoms) - 1, second if turn % 2 else first)]] = False
    remove_(model, keep)
    assert model(images).shape == (2, 3)
    left = counts_of(remaining_groups(model, layers, method="netadapt"))
    wanted, found = work.network(model), sizes.network(left)
    assert [each.name for each in wanted] == [each.name for each in found]
    for layer in wanted:
        assert found[layer.name] == layer


def test_filters_of_least_norm_go(model: nn.Module) -> None:
    """With their biases, and the columns of what reads them."""
    layer, reader = model.get_submodule("2"), model.get_submodule("5")
    norms = weight_of(layer).detach().square().sum((1, 2, 3))
    stay = norms.argsort(descending=True)[:4].sort().values
    weight, bias = weight_of(layer)[stay].clone(), layer.get_parameter("bias")[stay].clone()
    columns = weight_of(reader).reshape(12, 10, 16)[:, stay].reshape(12, 64).clone()
    cut_(model, Cut(groups_of(model, LAYERS, method="netadapt")[1], 4))
    assert torch.equal(weight_of(layer), weight)
    assert torch.equal(layer.get_parameter("bias"), bias)
    assert torch.equal(weight_of(reader), columns)


def test_residual_sums_go_together() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(2, 8, 1), Residual(8, 4), nn.Flatten(), nn.Linear(560, 3)
    ).eval()
    group = groups_of(model, ["0", "1.first", "1.second"], method="netadapt")[0]
    cut_(model, Cut(group, 5))
    assert weight_of(model.get_submodule("0")).shape[0] == 5
    assert weight_of(model.get_submodule("1.second")).shape[0] == 5
    assert model(torch.randn(1, 2, 10, 7)).shape == (1, 3)


def test_rounds_meet_their_limits_and_the_budget(model: nn.Module, data: Data) -> None:
    """The paper's schedule: each round takes a step less, the last only what is left."""
    before = copy.deepcopy(model.state_dict())
    found = adapt.adapt(model, LAYERS, by_macs, data, CONFIG)
    assert not found.shortfall
    start = now = float(macs(6, 10, 12))
    widths, step = {"0": 6, "2": 10, "5": 12}, 0.1 * start
    for one in found.rounds:
        limit = max(0.6 * start, now - step)
        assert now > 0.6 * start
        assert one.latency_ms <= limit
        assert one.filters < widths[one.group]
        if one.filters + 1 < widths[one.group]:  # one filter more would be too many
            assert macs(*(widths | {one.group: one.filters + 1}).values()) > limit
        widths[one.group] = one.filters
        assert one.latency_ms == macs(*widths.values())
        now, step = one.latency_ms, 0.9 * step
    assert found.cost.latency_ms == now <= 0.6 * start
    assert found.cost.energy_pj == 3 * now
    assert found.start.latency_ms == start
    assert found.model(data.images).shape == (120, 3)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_the_most_accurate_proposal_wins(model: nn.Module, data: Data) -> None:
    """Four filters that do nothing go first, two a round; the network says what it said before."""
    layer = model.get_submodule("2")
    with torch.no_grad():
        for path in (*LAYERS, "7"):  # what it says should depend on the image
            weight_of(model.get_submodule(path)).mul_(3)
            model.get_submodule(path).get_parameter("bias").zero_()
        weight_of(layer)[2:6] = 0
        own = Data(images=data.images, labels=model(data.images).argmax(1))
    settings = {"short": None, "long": None, "budget": 0.7, "step": 0.15, "decay": 0.98}
    found = adapt.adapt(model, LAYERS, by_macs, own, CONFIG.model_copy(update=settings))
    assert [(one.group, one.filters, one.accuracy) for one in found.rounds] == [
        ("2", 8, 1.0),
        ("2", 6, 1.0),
    ]
    with torch.no_grad():
        assert torch.allclose(found.model(data.images), model(data.images), atol=1e-5)


def test_a_step_that_no_layer_can_give_is_halved(model: nn.Module, data: Data) -> None:
    """Nine tenths of all at once is more than any layer alone has."""
    settings = {"short": None, "long": None, "budget": 0.2, "step": 0.9, "decay": 1.0}
    found = adapt.adapt(model, LAYERS, by_macs, data, CONFIG.model_copy(update=settings))
    assert not found.shortfall
    assert len(found.rounds) > 1
    assert found.cost.latency_ms <= 0.2 * macs(6, 10, 12)


def test_a_budget_that_cannot_be_met_is_told(model: nn.Module, data: Data) -> None:
    impossible = CONFIG.model_copy(update={"budget": 0.001, "short": None, "long": None})
    found = adapt.adapt(model, ["2"], by_macs, data, impossible)
    assert found.cost.latency_ms == macs(6, found.rounds[-1].filters, 12)
    assert found.shortfall.startswith("latency: 0.1 % of the start was not reached, but ")


def test_goes_on_where_it_was_killed(model: nn.Module, data: Data, tmp_path: Path) -> None:
    """Proposals judged before are not trained again, and the end is the same to the byte."""
    wanted = adapt.adapt(model, LAYERS, by_macs, data, CONFIG)
    told: list[str] = []

    def killed(stage: str, done: int = 0, total: int = 0) -> None:
        told.append(stage)
        if len(told) == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        adapt.adapt(model, LAYERS, by_macs, data, CONFIG, folder=tmp_path, progress=killed)
    judged = {file.name: file.stat().st_mtime_ns for file in tmp_path.rglob("*.safetensors")}
    assert len(judged) == 6  # five proposals and a round
    found = adapt.adapt(model, LAYERS, by_macs, data, CONFIG, folder=tmp_path)
    for file in tmp_path.rglob("*.safetensors"):
        assert judged.get(file.name, file.stat().st_mtime_ns) == file.stat().st_mtime_ns
    again = adapt.adapt(model, LAYERS, by_macs, data, CONFIG, folder=tmp_path)
    for other in (found, again):
        assert other.rounds == wanted.rounds
        assert other.cost == wanted.cost
        for key, value in wanted.model.state_dict().items():
            assert torch.equal(other.model.state_dict()[key], value)


def test_the_simulator_says_what_it_costs(model: nn.Module) -> None:
    """As `simulate` does with the whole network, layers that ride on others included."""
    machine = load_machine("eyeriss_v1_int8")
    work = Workload(shape=(1, 8, 10), batch=2, bits=8, densities={})
    plain = network_from_torch(model, (torch.zeros(2, 1, 8, 10),), name="whole")
    narrow = {each.name: each.at_bits(ifmap=8, weight=8, ofmap=8, psum=16) for each in plain}
    whole = simulate(plain.with_layers(narrow), machine, workers=1)
    found = network_cost(work.network(model), Simulator(machine=machine))
    assert found.energy_pj == pytest.approx(whole.energy_pj)
    assert found.latency_ms == pytest.approx(whole.cycles / (machine.clock_mhz * 1e3))


def test_refusals(model: nn.Module, data: Data) -> None:
    with pytest.raises(InputError, match=r"'7'.*reach the network's output"):
        adapt.adapt(model, [*LAYERS, "7"], by_macs, data, CONFIG)
    with pytest.raises(InputError, match="needs labels"):
        adapt.adapt(model, LAYERS, by_macs, Data(images=data.images), CONFIG)
    with pytest.raises(InputError, match="latency_ms = nan"):
        adapt.adapt(
            model, LAYERS, lambda _: Cost(energy_pj=1, latency_ms=float("nan")), data, CONFIG
        )
    mask_(model.get_submodule("0"), torch.ones(6, 1, 3, 2, dtype=torch.bool))
    with pytest.raises(InputError, match=r"'0'.*have a form"):
        adapt.adapt(model, LAYERS, by_macs, data, CONFIG)
