"""Yang, Chen and Sze, arXiv:1611.05128."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from compressors import energy_aware_pruning as method
from compressors._compress import compress
from compressors._data import Data
from compressors._fit import Fit
from compressors._layers import weight_of, weighted_layers
from compressors._plan import uniform
from compressors._probe import read_columns
from compressors._ridge import RIDGE
from compressors._thinning import Samples, fitted, largest, restore_
from compressors.structure._cost import layer_energies_pj
from compressors.weights._form import code_of
from compressors.weights.masked import mask_, mask_of
from hwsim.frontends.torch import network_from_torch
from hwsim.hardware import load_machine
from hwsim.simulate import simulate
from tests.methods.conftest import accuracy, cross_entropy

SMALL = {"order": "weights"}
SMALL_KEEP = ("0.1.0",)
LAYERS = ["0", "3", "6", "9"]


def test_the_hungriest_comes_first(cnn: nn.Module, training: Data) -> None:
    """By the simulator's own report of the dense network; its zeros change no ranks here."""
    found = method.ordered(cnn, LAYERS, method.Config(), training)
    network = network_from_torch(cnn, (training.images[:1],), name="cnn")
    results = simulate(network, load_machine("eyeriss_v1"), workers=1).layers
    energies = {one.layer.name: one.cost.energy_pj for one in results}
    assert found == sorted(LAYERS, key=lambda path: -energies[path])
    by_weights = method.ordered(cnn, LAYERS, method.Config(order="weights"), training)
    assert by_weights == ["6", "9", "3", "0"] != found


def test_each_step_lowers_the_error(cnn: nn.Module, training: Data) -> None:
    """Restoring the absolute error; least squares the squared one, to the least there is."""
    columns = read_columns(cnn, ["3"], training.first(100), positions=10, seed=0)["3"]
    inputs, wanted = columns.inputs.flatten(1).double(), columns.sums[:, 3].double()
    row = weight_of(cnn.get_submodule("3")).detach()[3].flatten().double()
    stays = largest(row.abs()[None], 18)[0]
    errors = [float((wanted - inputs @ (row * stays)).abs().sum())]
    single = []
    for place in (~stays).nonzero().flatten():
        more = stays.clone()
        more[place] = True
        single.append((float((wanted - inputs @ (row * more)).abs().sum()), int(place)))
    before = stays.clone()
    restore_(stays, torch.ones(72, dtype=torch.bool), row, Samples(inputs), wanted, count=4)
    assert set((stays & ~before).nonzero().flatten().tolist()) == {p for _, p in sorted(single)[:4]}
    errors.append(float((wanted - inputs @ (row * stays)).abs().sum()))
    assert errors[1] < errors[0]
    found = fitted(row * stays, stays, Samples(inputs), wanted)
    assert found[~stays].count_nonzero() == 0
    best, *_ = np.linalg.lstsq(inputs[:, stays].numpy(), wanted.numpy(), rcond=None)
    least = np.square(inputs[:, stays].numpy() @ best - wanted.numpy()).sum()
    left = float((wanted - inputs @ found).square().sum())
    assert least <= left <= float((wanted - inputs @ (row * stays)).square().sum())
    assert left < 1.02 * least


@pytest.mark.parametrize("samples", [5, 40], ids=["fewer than weights", "more than weights"])
def test_fitted_by_least_squares_with_a_ridge(samples: int) -> None:
    """The ridge's share of the mean square as further samples, which want the weights as they were,
    and numpy's solver."""
    draw = torch.Generator().manual_seed(0)
    inputs = torch.randn(samples, 9, generator=draw).double()
    wanted, row = (torch.randn(n, generator=draw).double() for n in (samples, 9))
    stays = torch.arange(9) % 4 > 0
    found = fitted(row * stays, stays, Samples(inputs), wanted)
    kept = inputs[:, stays].numpy()
    weight = np.sqrt(RIDGE * np.square(kept).sum() / 6) * np.eye(6)
    best, *_ = np.linalg.lstsq(
        np.vstack([kept, weight]),
        np.concatenate([wanted.numpy(), weight @ row[stays].numpy()]),
        rcond=None,
    )
    assert np.allclose(found[stays].numpy(), best, atol=1e-9)
    assert found[~stays].count_nonzero() == 0


def test_noise_of_few_samples_is_not_fitted() -> None:
    """As many samples as weights: on others, the plain least squares err more."""
    draw = torch.Generator().manual_seed(0)
    inputs = torch.randn(2000, 30, generator=draw).double()
    row = torch.randn(30, generator=draw).double()
    wanted = inputs @ row + torch.randn(2000, generator=draw).double()
    stays = torch.ones(30, dtype=torch.bool)
    found = fitted(row, stays, Samples(inputs[:30]), wanted[:30])
    plain = torch.linalg.solve(inputs[:30], wanted[:30])
    errors = [float((wanted - inputs @ one)[30:].square().mean()) for one in (found, plain)]
    assert errors[0] < 0.5 * errors[1]


def test_each_filter_keeps_its_share(cnn: nn.Module, training: Data) -> None:
    config = {"keep": 0.25, "order": "weights", "images": 100}
    found = compress(cnn, uniform(("energy_aware_pruning", config)), data=training)
    for layer in weighted_layers(found).values():
        mask = mask_of(layer)
        assert mask is not None
        width = mask[0].numel()
        assert torch.equal(mask.flatten(1).sum(1), torch.full((len(mask),), round(0.25 * width)))
        assert code_of(layer).kind == "sparse"


Array = NDArray[np.float64]


def thinned(weight: Array, inputs: Array, wanted: Array, keep: int, back: int) -> Array:
    """Sec. 4.2 to 4.4 of a layer [K, C], `keep` weights a filter, `back` of them restored; the
    ridge as further samples that want the weights as they were.
    """
    found = np.zeros_like(weight)
    for row, new, sums in zip(weight, found, wanted.T, strict=True):
        stays = set(np.argsort(-np.abs(row))[: keep - back].tolist())
        left = sums - inputs @ np.where(np.isin(np.arange(len(row)), [*stays]), row, 0)
        errors = {q: np.abs(left - inputs[:, q] * row[q]).sum() for q in range(len(row))}
        gone = sorted((q for q in errors if q not in stays), key=errors.__getitem__)
        places = sorted([*stays, *gone[:back]])
        part = inputs[:, places]
        more = np.sqrt(RIDGE * np.square(part).sum() / keep) * np.eye(keep)
        samples, targets = np.vstack([part, more]), np.append(sums, more @ row[places])
        new[places] = np.linalg.lstsq(samples, targets, rcond=None)[0]
    return found


@pytest.mark.parametrize("widths", [(10, 8, 3), (6, 8, 12)], ids=["first", "last"])
def test_a_pass_is_the_published_steps(widths: tuple[int, int, int]) -> None:
    """By numpy, the layer of most weights first: what a layer reads is what the layers pruned so
    far make of the images, and its sums are to be those of the network as it was.
    """
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(*widths[:2]), nn.ReLU(), nn.Linear(*widths[1:]))
    images = torch.randn(40, widths[0])
    config = {"keep": 0.6, "restored": 0.34, "order": "weights"}
    data = Data(images=images, labels=torch.zeros(40, dtype=torch.int64))
    found = compress(model, uniform(("energy_aware_pruning", config)), data=data)

    first, last = (weight_of(model[n]).detach().double().numpy() for n in (0, 2))
    bias, x = model[0].get_parameter("bias").detach().double().numpy(), images.double().numpy()
    hidden = np.maximum(x @ first.T + bias, 0)
    counts = {6: (4, 1), 8: (5, 2), 10: (6, 2)}  # of 0.6, and of 0.34 of these
    thin = thinned(first, x, x @ first.T, *counts[widths[0]])
    seen = np.maximum(x @ thin.T + bias, 0) if first.size > last.size else hidden
    wanted = thin, thinned(last, seen, hidden @ last.T, *counts[widths[1]])
    for n, weight in zip(("0", "2"), wanted, strict=True):
        assert np.allclose(weight_of(found.get_submodule(n)).detach().numpy(), weight, atol=1e-5)
        assert np.count_nonzero(weight) < weight.size


def test_a_layer_keeps_the_least_that_accuracy_allows() -> None:
    """Of `keep`, its square root and so on: each tried by itself, and all kept where none holds."""
    torch.manual_seed(0)
    model, images = nn.Sequential(nn.Linear(30, 8)), torch.randn(300, 30)
    data = Data(images=images, labels=model(images).argmax(1))
    single = {}
    for share in (0.1, 0.1**0.5, 0.1**0.25, 0.1**0.125, 0.1**0.0625):
        config = method.Config(keep=share, order="weights")
        one = method.prune(copy.deepcopy(model), ["0"], config, data, judge=data)
        single[share] = accuracy(one, data), weight_of(one.get_submodule("0")).detach()
    for drop in (0.0, 0.1, 0.2, 0.4, 0.9):
        config = method.Config(keep=0.1, drop=drop, order="weights")
        found = method.prune(copy.deepcopy(model), ["0"], config, data, judge=data)
        hold = [weight for reached, weight in single.values() if reached >= 1 - drop]
        wanted = hold[0] if hold else weight_of(model[0])
        assert torch.equal(weight_of(found.get_submodule("0")), wanted)
    print("accuracies", [reached for reached, _ in single.values()])


def by_magnitude(cnn: nn.Module, share: float) -> nn.Module:
    """The largest weights of each filter, and nothing else done."""
    masked = copy.deepcopy(cnn)
    for layer in weighted_layers(masked).values():
        rows = weight_of(layer).detach().flatten(1).abs()
        keep = largest(rows, max(1, round(share * rows.shape[1])))
        mask_(layer, keep.reshape(weight_of(layer).shape))
    return masked


def test_loses_less_than_magnitude_alone(cnn: nn.Module, training: Data, testing: Data) -> None:
    """At equal shares, before any fine-tuning; and restoring helps."""
    losses = []
    for restored in (0.1, 0.0):
        config = {"keep": 0.3, "order": "weights", "restored": restored}
        plan = uniform(("energy_aware_pruning", config))
        losses.append(cross_entropy(compress(cnn, plan, data=training), testing))
    assert losses[0] < losses[1] < cross_entropy(by_magnitude(cnn, 0.3), testing)


@pytest.mark.slow
def test_draws_less_than_magnitude_at_equal_loss(
    cnn: nn.Module, training: Data, testing: Data
) -> None:
    """Three points, without fine-tuning, on a machine that skips zeros; all layers alike there.

    That the order by energy beats that by number of weights, as the catalogue wants, is a matter
    of networks whose layers are far apart in the two: in this small one it does not, on AlexNet it
    does (docs/energy_aware.md).
    """
    allowed = accuracy(cnn, testing) - 0.03
    config = {"keep": 0.1, "drop": 0.03, "machine": "zero_skipping"}
    found = compress(cnn, uniform(("energy_aware_pruning", config)), data=training)
    assert accuracy(found, testing) >= allowed
    plain = (by_magnitude(cnn, share) for share in (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0))
    rival = next(model for model in plain if accuracy(model, testing) >= allowed)
    energies = [
        sum(layer_energies_pj(model, training.images[:4], machine="zero_skipping").values())
        for model in (found, rival)
    ]

    assert energies[0] < energies[1]


@pytest.mark.slow
def test_fine_tuning_recovers(cnn: nn.Module, training: Data, testing: Data) -> None:
    config = {"keep": 0.4, "fit": {"epochs": 4.0, "learning_rate": 0.05}}
    found = compress(cnn, uniform(("energy_aware_pruning", config)), data=training)
    assert accuracy(found, testing) > accuracy(cnn, testing) - 0.01


def test_rounds_stop_at_the_floor_and_go_on_after_a_kill(
    mlp: nn.Module, training: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The network is the last of its rounds that holds; each has the same share of the last."""
    fit = Fit(epochs=0.5, learning_rate=0.01)
    few = training.first(500)
    layers = [*weighted_layers(mlp)]

    def pruned(rounds: int, loss: float | None, folder: Path | None = None) -> nn.Module:
        config = method.Config(
            keep=0.25, rounds=rounds, loss=loss, order="weights", images=20, fit=fit
        )
        return method.prune(copy.deepcopy(mlp), layers, config, few, folder=folder)

    wanted = pruned(4, 0.1, tmp_path)
    left = weight_of(wanted.get_submodule("1")).count_nonzero(dim=1)
    turns = next(n for n in range(1, 4) if int(left[0]) == 256 >> 2 * n)
    assert torch.equal(left, torch.full((100,), 256 >> 2 * turns))
    deeper = pruned(turns + 1, None)
    judge = few.parted(50, seed=0)[1]
    least = accuracy(mlp, judge) - 0.1
    assert accuracy(deeper, judge) < least <= accuracy(wanted, judge)
    monkeypatch.setattr(method, "thin_", None)  # all is known by now
    again = pruned(4, 0.1, tmp_path)
    for key, value in wanted.state_dict().items():
        assert torch.equal(again.state_dict()[key], value)


def test_orders(mlp: nn.Module, training: Data) -> None:
    """By hand: in linear layers MACs are weights, and what is masked counts for neither."""
    layers = [*weighted_layers(mlp)]
    mask = torch.zeros(100, 256, dtype=torch.bool)
    mask[:, 0] = True
    mask_(mlp.get_submodule("1"), mask)
    for order in ("weights", "macs"):
        config = method.Config.model_validate({"order": order})
        assert method.ordered(mlp, layers, config, training) == ["3", "5", "1"]
    one, four = (
        layer_energies_pj(mlp, training.images[:2], machine="systolic_ws", batch=batch)
        for batch in (1, 4)
    )
    assert all(four[path] < one[path] for path in layers)  # weights are fetched once for all
