"""Proxies against closed forms."""

import pytest
import torch
from torch import nn

from compressors import Plan, compress
from compressors._curvature import curvature
from compressors._layers import weight_of
from compressors.codesign import Budget, fixed_point, search
from compressors.codesign._sensitivity import (
    PROXY_IMAGES,
    hessian,
    output_error,
    rank_correlation,
    spread,
)
from compressors.codesign._subject import Subject, subject_of
from tests.codesign.networks import CANDIDATES, Fidelity, chain, data, formula


@pytest.fixture(scope="module")
def subject() -> Subject:
    model = chain()
    return subject_of(model, data(model), calibration=None, network=None, bits=16, seed=0)


def rounded(subject: Subject, layer: str, weights: int, activations: int) -> nn.Module:
    plan = Plan(layers={"*": (), layer: fixed_point(weights, activations).steps})
    return compress(subject.model, plan, data=subject.data, calibration=subject.calibration)


def test_output_error_is_that_of_the_logits(subject: Subject) -> None:
    module = rounded(subject, "4", 4, 8)
    images = subject.calibration.images[:PROXY_IMAGES]
    with torch.no_grad():
        wanted, found = subject.model(images).double(), module(images).double()
    error = float(((found - wanted) ** 2).sum() / (wanted**2).sum())
    assert output_error(subject).of(module) == pytest.approx(error, rel=1e-4)
    assert output_error(subject).of(subject.model) == 0.0


def test_curvature_times_squared_change(subject: Subject) -> None:
    """With ifmaps of 16 bits nearly all of it is that of weights: half the mean of the diagonal
    times the squared change."""
    module = rounded(subject, "4", 3, 16)
    of = curvature(subject.model, ["4"], subject.data, "gauss_newton")["4"].mean()
    change = weight_of(subject.model.get_submodule("4")) - weight_of(module.get_submodule("4"))
    wanted = float(of * change.detach().square().sum()) / 2
    assert hessian(subject).of(module) == pytest.approx(wanted, rel=1e-3)
    assert hessian(subject).of(subject.model) == 0.0


def test_narrower_numbers_cost_more_by_either_proxy(subject: Subject) -> None:
    for measure in (hessian(subject), output_error(subject)):
        for layer in subject.layers:
            scores = [measure.of(rounded(subject, layer, bits, bits)) for bits in (8, 5, 3)]
            assert scores == sorted(scores)
            assert scores[0] < scores[-1]


def test_rank_correlation_of_known_ranks() -> None:
    """1 - 6 sum d^2 / n (n^2 - 1), with d = 0 0 1 -1."""
    assert rank_correlation([1, 2, 3, 4], [10, 20, 40, 30]) == pytest.approx(1 - 6 * 2 / 60)
    assert rank_correlation([1, 1], [1, 2]) is None


def test_spread_takes_the_ends() -> None:
    assert spread([5.0, 1.0, 3.0, 2.0, 4.0], 3) == [0, 1, 2]
    assert spread([2.0, 1.0], 16) == [0, 1]


@pytest.mark.slow
def test_search_by_a_proxy_says_how_well_it_ranks() -> None:
    model = chain()
    fidelity = Fidelity(model)
    found = search(
        model,
        None,
        fidelity,
        Budget(accuracy_drop=0.1),
        CANDIDATES,
        data=data(model),
        cost=formula,
        sensitivity="hessian",
        compare=("output_error",),
    )
    assert [one.sensitivity for one in found.report.comparisons] == ["hessian", "output_error"]
    for one in found.report.comparisons:
        assert one.trials > 10
        assert one.correlation is not None
        assert one.correlation > 0.3
