"""The parts of pruning: groups, scores, shares of layers, schedules, repairs."""

from collections.abc import Callable

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given
from torch import Tensor, nn

from compressors._data import Data
from compressors._fit import Fit
from compressors.pruning.allocation import Groups, kept
from compressors.pruning.criteria import Magnitude, Random
from compressors.pruning.granularity import Granularity, Unit
from compressors.pruning.pruner import Pruner
from compressors.pruning.repair import Retrain, frozen, scaled_dropout
from compressors.pruning.schedule import Gradual, Rounds
from compressors.pruning.targets import density, targets
from compressors.weights._form import code_of
from compressors.weights.masked import mask_, masked_of

SHAPE = (6, 4, 3, 2)
SUMS: dict[Unit, Callable[[Tensor], Tensor]] = {
    "weight": lambda w: w,
    "row": lambda w: w.sum(3),
    "column": lambda w: w.sum(2),
    "kernel": lambda w: w.sum((2, 3)),
    "filter": lambda w: w.sum((1, 2, 3)),
    "channel": lambda w: w.sum((0, 2, 3)),
    "shape": lambda w: w.sum(0),
    "block": lambda w: w.reshape(2, 3, 2, 2, 3, 2).sum((1, 3, 4, 5)),
}


@pytest.mark.parametrize("unit", SUMS)
def test_a_group_is_worth_the_sum_of_its_weights(unit: Unit) -> None:
    """arXiv:1705.08922, Sec. 3."""
    weights = torch.rand(SHAPE, generator=torch.Generator().manual_seed(0)).double()
    granularity = Granularity(unit=unit, block=(3, 2))
    wanted = SUMS[unit](weights).flatten()
    assert torch.allclose(granularity.sums(weights), wanted, atol=1e-12)
    alike = granularity.spread(torch.arange(len(wanted)), SHAPE)
    assert torch.equal(torch.unique(alike), torch.arange(len(wanted)))


@pytest.mark.parametrize("unit", SUMS)
def test_any_rank_has_groups(unit: Unit) -> None:
    for shape in ((5, 7), (5, 7, 3), SHAPE):
        granularity = Granularity(unit=unit, block=(2, 3))
        sizes = granularity.sums(torch.ones(shape))
        assert sizes.sum() == torch.Size(shape).numel()
        assert sizes.min() >= 1


def test_filters_of_a_group_read_channels_of_their_own() -> None:
    """A grouped convolution is several side by side, and so are its channels and places."""
    weights = torch.rand(SHAPE, generator=torch.Generator().manual_seed(0)).double()
    layer = nn.Conv2d(12, 6, (3, 2), groups=3)
    for unit in ("channel", "shape"):
        granularity = Granularity(unit=unit).of(layer)
        wanted = torch.cat([SUMS[unit](part).flatten() for part in torch.split(weights, 2)])
        assert torch.allclose(granularity.sums(weights), wanted, atol=1e-12)
    depthwise = Granularity(unit="channel").of(nn.Conv2d(6, 6, (3, 2), groups=6))
    assert depthwise.sums(weights[:, :1]).shape == (6,)


def groups(scores: Tensor, deviation: float = 1.0) -> Groups:
    ones = torch.ones(len(scores), dtype=torch.float64)
    return Groups(scores.double(), ones, scores >= 0, deviation)


@given(st.integers(1, 60), st.integers(1, 60), st.floats(0, 0.99))
def test_shares_are_exact(first: int, second: int, sparsity: float) -> None:
    draw = torch.Generator().manual_seed(first)
    found = [groups(torch.rand(n, generator=draw)) for n in (first, second)]
    for n, stays in zip((first, second), kept(found, sparsity, "layer"), strict=True):
        assert int((~stays).sum()) == min(round(sparsity * n), n - 1)
    both = kept(found, sparsity, "global")
    assert all(stays.any() for stays in both)
    gone = sum(int((~stays).sum()) for stays in both)
    assert gone == min(round(sparsity * (first + second)), first + second - 2)


def test_std_is_the_published_threshold() -> None:
    """What stays is what exceeds one multiple q of each layer's standard deviation."""
    draw = torch.Generator().manual_seed(0)
    weights = [torch.randn(500, generator=draw) * scale for scale in (1.0, 0.1)]
    weights[1] = weights[1] ** 3
    found = [groups(w.abs(), float(w.std())) for w in weights]
    first, second = kept(found, 0.6, "std")
    ratios = [w.abs() / w.std() for w in weights]
    q = torch.cat(ratios).sort().values[600]
    assert torch.equal(first, ratios[0] >= q)
    assert torch.equal(second, ratios[1] >= q)
    assert int((~first).sum()) != int((~second).sum())


def test_what_is_gone_goes_first() -> None:
    scores = torch.tensor([0.3, -1.0, 0.1, 0.2])
    assert kept([groups(scores)], 0.5, "layer")[0].tolist() == [True, False, False, True]


def test_cubic_curve() -> None:
    """arXiv:1710.01878, eq. 1: from s_i to s_f, monotone, flat at the end."""
    curve = Gradual(initial=0.1)
    found = torch.tensor([curve.at(t / 1000, 0.9) for t in range(1001)], dtype=torch.float64)
    assert found[[0, -1]].tolist() == pytest.approx([0.1, 0.9])
    assert torch.all(found.diff() > 0)
    assert abs(found[-1] - found[-2]) < 1e-8
    assert torch.isclose(found[500], torch.tensor(0.9 - 0.8 / 8, dtype=torch.float64))


def test_cuts_come_when_the_schedule_says() -> None:
    made: list[float] = []

    def train(after_step: Callable[[int], None] | None) -> None:
        for step in range(100):
            if after_step:
                after_step(step)

    schedule = Gradual(begin=0.2, end=0.7, cuts=5)
    schedule.carry_out(0.8, cut=made.append, train=train, steps=100)
    assert made == [schedule.at(n / 5, 0.8) for n in range(6)] + [0.8]
    made.clear()
    Rounds(rounds=2).carry_out(0.75, cut=made.append, train=train, steps=100)
    assert made == [0.5, 0.75]


def test_pruning_composes_with_an_earlier_mask() -> None:
    layer = nn.Linear(8, 6)
    model = nn.Sequential(layer)
    earlier = torch.ones(6, 8, dtype=torch.bool)
    earlier[2] = False
    mask_(layer, earlier)
    for unit in ("weight", "filter"):
        Pruner(granularity=Granularity(unit=unit)).cut_(model, ["0"], 0.5, None)
        assert not layer.weight[2].any()
    assert density(targets(model, ["0"])) == pytest.approx(int(layer.weight.count_nonzero()) / 48)
    masked = masked_of(layer)
    assert masked is not None
    assert masked.grid is None  # two grids make none
    assert torch.equal(code_of(layer).decode(), layer.weight)


def test_random_scores_are_seeded() -> None:
    found = targets(nn.Sequential(nn.Linear(8, 6)), ["0"])
    one, same, other = (Random(seed=s).scores(nn.Identity(), found, None)[0] for s in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert torch.equal(Magnitude().scores(nn.Identity(), found, None)[0], found[0].value.abs())


def test_frozen_layers_do_not_move() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 6), nn.Dropout(0.5), nn.Linear(6, 3))
    before = [p.detach().clone() for p in model.parameters()]
    data = Data(images=torch.randn(20, 5), labels=torch.arange(20) % 3)
    with frozen(model, ["0"]):
        Retrain(fit=Fit(batch=5)).mend_(model, data, None)
    moved = [not torch.equal(p, b) for p, b in zip(model.parameters(), before, strict=True)]
    assert moved == [False, False, True, True]
    assert all(p.requires_grad for p in model.parameters())


def test_dropout_is_weaker_behind_sparse_layers() -> None:
    """arXiv:1506.02626, eq. 2: D_r = D_o sqrt(C_r / C_o)."""
    dropout = nn.Dropout(0.5)
    model = nn.Sequential(nn.Linear(10, 10), dropout, nn.Linear(10, 3))
    mask_(model[0], torch.arange(100).reshape(10, 10) < 25)
    with scaled_dropout(model):
        assert dropout.p == 0.25
    assert dropout.p == 0.5
