"""He, Zhang and Sun, arXiv:1707.06168."""

import numpy as np
import pytest
import torch
from torch import nn

from compressors import channel_pruning_lasso
from compressors._compress import compress
from compressors._data import Data
from compressors._layers import weight_of
from compressors._plan import uniform
from compressors._probe import Columns, read_columns
from compressors._ridge import RIDGE
from compressors.l1_filter_pruning import absolute_sums
from compressors.structure._groups import channel_groups
from compressors.structure._lasso import lasso, sparse_coefficients
from compressors.structure._repair import refit_
from compressors.structure._select import keep_best
from tests.methods.conftest import accuracy, cross_entropy

SMALL = {"fit": {"epochs": 1, "batch": 3}}
SMALL_KEEP = ("3",)


@pytest.mark.parametrize("count", [1, 3, 7])
def test_kkt_conditions_hold(count: int) -> None:
    """|z'(y - Z b)| is the penalty where b is not zero, with its sign, and no more elsewhere."""
    draw = np.random.default_rng(count)
    parts, target = draw.normal(size=(80, 10)), draw.normal(size=80)
    found, penalty = sparse_coefficients(parts.T @ parts, parts.T @ target, count)
    assert np.count_nonzero(found) == count
    slopes = parts.T @ (target - parts @ found)
    some = found != 0
    assert np.allclose(slopes[some], penalty * np.sign(found[some]), atol=1e-6)
    assert np.abs(slopes).max() <= penalty + 1e-6
    again = lasso(parts.T @ parts, parts.T @ target, penalty, np.ones(10))
    assert np.allclose(again, found, atol=1e-6)


def test_normal_equations_are_those_of_the_layer(cnn: nn.Module, training: Data) -> None:
    """With all coefficients at the norms of their weights, the fit is the layer itself."""
    group, few = channel_groups(cnn)[0], training.first(40)
    columns = read_columns(cnn, ["3"], few, positions=4, seed=0)
    products, sums = channel_pruning_lasso.normal_equations(cnn, group, columns)
    norms = weight_of(cnn.get_submodule("3")).detach().double().pow(2).sum((0, 2, 3)).sqrt()
    assert torch.allclose(products @ norms, sums, rtol=1e-4, atol=1e-4)
    assert torch.allclose(norms @ sums, columns["3"].sums.double().square().sum(), rtol=1e-4)


@pytest.mark.parametrize("count", [8, 200])
def test_least_squares_only_lowers_the_error(cnn: nn.Module, training: Data, count: int) -> None:
    """Of fewer samples than weights and of more: numpy's, with rows for a ridge around the old."""
    before = read_columns(cnn, ["6"], training.first(count), positions=5, seed=0)["6"]
    keep = torch.arange(16) % 3 > 0
    layer = nn.Conv2d(8, 16, 3, stride=2)
    layer.weight.data = weight_of(cnn.get_submodule("6")).detach()[:, keep].clone()
    columns = Columns(before.inputs[:, keep], before.sums)
    inputs, sums = columns.inputs.flatten(1).double().numpy(), before.sums.double().numpy()
    ridge = np.sqrt(RIDGE * np.square(inputs).sum() / 90) * np.eye(90)
    was = layer.weight.detach().flatten(1).double().numpy().T
    known, wanted = np.vstack([inputs, ridge]), np.vstack([sums, ridge @ was])
    best, *_ = np.linalg.lstsq(known, wanted, rcond=None)
    refit_(layer, columns, path="6")
    found = layer.weight.detach().flatten(1).double().numpy().T
    assert np.allclose(found, best, atol=1e-6)
    errors = [np.square(inputs @ one - sums).sum() for one in (found, was)]
    assert errors[0] < 0.5 * errors[1]


def refit_error(columns: Columns, keep: torch.Tensor) -> float:
    """The least mean squared error that any weights on kept channels can have, by numpy."""
    inputs, sums = columns.inputs[:, keep].flatten(1).numpy(), columns.sums.numpy()
    found, *_ = np.linalg.lstsq(inputs, sums, rcond=None)
    return float(np.square(inputs @ found - sums).mean())


def test_reconstructs_better_than_norms(cnn: nn.Module, training: Data) -> None:
    """Two layers, three shares: on the whole, and for most."""
    ratios = []
    for number, (path, reader) in enumerate([("0", "3"), ("3", "6")]):
        group, norms = channel_groups(cnn)[number], absolute_sums(cnn, [path])[path]
        columns = read_columns(cnn, [reader], training.first(400), positions=5, seed=0)
        for share in (0.25, 0.5, 0.75):
            found = channel_pruning_lasso.choice(cnn, group, columns, share=share)
            by_norms = keep_best(group, norms, share=share)
            errors = [refit_error(columns[reader], keep) for keep in (found, by_norms)]
            ratios.append(errors[0] / errors[1])
    assert np.exp(np.log(ratios).mean()) < 0.8
    assert sum(ratio < 1 for ratio in ratios) >= 4


def test_keeps_as_many_as_asked_and_needs_no_labels(
    cnn: nn.Module, training: Data, testing: Data
) -> None:
    plan = uniform(("channel_pruning_lasso", {"keep": 0.5}), keep=["9"])
    smaller = compress(cnn, plan, data=Data(images=training.images))
    assert [len(smaller.get_parameter(f"{path}.weight")) for path in "036"] == [4, 8, 8]
    by_norms = compress(cnn, uniform("l1_filter_pruning", keep=["9"]))
    assert cross_entropy(smaller, testing) < cross_entropy(by_norms, testing)


@pytest.mark.slow
def test_fine_tuning_recovers(cnn: nn.Module, training: Data, testing: Data) -> None:
    fit = {"epochs": 2.0, "learning_rate": 0.05}
    plan = uniform(("channel_pruning_lasso", {"keep": 0.7, "fit": fit}), keep=["9"])
    assert accuracy(compress(cnn, plan, data=training), testing) > accuracy(cnn, testing) - 0.01
