"""How sure drops of accuracy are, and what becomes of those that are not."""

from itertools import pairwise
from math import sqrt
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import spearmanr
from torch import Tensor, nn

from compressors.codesign import Budget, EvaluationError, fixed_point, search
from compressors.codesign._hits import outcome_of, packed, share_of, standard_error, unpacked
from compressors.codesign._noise import likely_drops, price
from hwsim.errors import InputError
from tests.codesign.networks import chain, data, formula, images

Drawn = NDArray[np.float64]
booleans = st.lists(st.booleans(), min_size=1, max_size=40)


@settings(max_examples=30, deadline=None)
@given(booleans)
def test_hits_are_kept_as_they_are(hits: list[bool]) -> None:
    found = outcome_of(torch.tensor(hits))
    assert not isinstance(found, float)
    again = unpacked(packed(found))
    assert not isinstance(again, float)
    assert again.tolist() == hits
    assert share_of(again) == sum(hits) / len(hits)


@pytest.mark.parametrize("found", [torch.tensor([0.5, 1.0]), torch.zeros(0), np.array([2, 1])])
def test_lists_that_are_no_hits(found: object) -> None:
    with pytest.raises(ValueError, match="must be true or false for each image"):
        outcome_of(found)


def test_standard_error_is_the_scatter_of_many_draws() -> None:
    """Images that only one of two networks tells right, at known odds, drawn a thousand times."""
    draw, count = np.random.default_rng(0), 500
    drops, errors = [], []
    for _ in range(1000):
        kind = draw.choice(4, size=count, p=[0.85, 0.05, 0.02, 0.08])
        before, after = np.isin(kind, (0, 1)), np.isin(kind, (0, 2))
        drops.append(share_of(before) - share_of(after))
        errors.append(standard_error(before, after) or 0.0)
    assert float(np.mean(errors)) == pytest.approx(float(np.std(drops)), rel=0.05)
    assert float(np.mean(drops)) == pytest.approx(0.03, abs=0.002)


def test_nothing_seen_is_not_nothing_at_all() -> None:
    hits = np.ones(100, dtype=bool)
    assert standard_error(hits, hits) == pytest.approx(sqrt(1 / 100 / 100))
    assert standard_error(0.5, hits) is None


def trials(seed: int, count: int) -> tuple[Drawn, Drawn, Drawn]:
    """Errors of outputs, true drops that follow them loosely, and what 1,000 images say."""
    draw = np.random.default_rng(seed)
    errors = 10 ** draw.uniform(-4, 0, count)
    drops = 0.02 * errors**0.7 * draw.lognormal(0, 0.5, count)
    return errors, drops, drops + draw.normal(0, np.sqrt((drops + 0.003) / 1000))


@settings(max_examples=30, deadline=None)
@given(st.floats(0.01, 10), st.lists(st.floats(0.001, 1), min_size=1, max_size=9))
def test_price_of_drops_in_proportion(unit: float, errors: list[float]) -> None:
    drops = [unit * error for error in errors]
    assert price(drops, [0.0] * len(errors), errors) == pytest.approx(unit)
    assert price(drops, [0.01] * len(errors), errors) == pytest.approx(unit)
    assert price([-drop for drop in drops], [0.01] * len(errors), errors) == 0.0


def test_price_is_not_that_of_noise() -> None:
    """A thousand trials that change nothing beside ten that do."""
    draw = np.random.default_rng(0)
    errors = np.concatenate([np.full(1000, 1e-4), np.full(10, 0.1)])
    noise = np.concatenate([np.full(1000, 2e-3), np.full(10, 5e-3)])
    measured = 0.5 * errors + draw.normal(0, noise)
    assert price([*measured], [*noise], [*errors]) == pytest.approx(0.5, rel=0.2)


@pytest.mark.parametrize("known", [True, False])
def test_likely_drops_are_nearer_the_truth_than_those_measured(known: bool) -> None:
    """By squared error and by rank, where the noise is known and where it is not."""
    gained = []
    for seed in range(5):
        errors, drops, measured = trials(seed, 200)
        noise = [sqrt((drop + 0.003) / 1000) if known else None for drop in drops]
        found = likely_drops([*measured], noise, [*errors])
        gained.append(np.square(found - drops).mean() / np.square(measured - drops).mean())
        assert spearmanr(found, drops).statistic > spearmanr(measured, drops).statistic
    assert max(gained) < 0.9


def test_what_is_sure_stays() -> None:
    """A measurement without noise is taken as it is; of two without a drop the nearer wins."""
    found = likely_drops([0.0, 0.05, 0.0, 0.2], [0.0] * 4, [0.1, 0.2, 0.3, 0.4])
    assert [found[1], found[3]] == pytest.approx([0.05, 0.2])
    assert 0 < found[0] < found[2] < 1e-3


def test_drops_below_zero_are_noise() -> None:
    found = likely_drops([-0.01, 0.01, -0.01, 0.01], [None] * 4, [0.1, 0.2, 0.3, 0.4])
    assert all(0 < first <= second for first, second in pairwise(found[::2]))
    assert found[1] < 0.01


def hits(model: nn.Module, labels: Tensor, shown: Tensor) -> Tensor:
    with torch.no_grad():
        right: Tensor = model(shown).argmax(1) == labels
        return right


class Judge:
    """Which of the first `count` images of noise a network sees as the original does."""

    def __init__(self, model: nn.Module, count: int, *, seed: int = 1) -> None:
        self.images = images(count, seed=seed)
        with torch.no_grad():
            self.labels = model(self.images).argmax(1)
        self.fingerprint, self.calls = f"{count} {seed}", 0

    def __call__(self, model: nn.Module) -> Tensor:
        self.calls += 1
        return hits(model, self.labels, self.images)


def test_other_images_confirm_and_confidence_asks_for_more() -> None:
    """What is reported is of the images that confirm; to be sure of a budget costs energy."""
    model = chain()
    trial, confirm = Judge(model, 100), Judge(model, 800, seed=2)
    energies = []
    for confidence in (None, 0.95):
        found = search(
            model,
            None,
            trial,
            Budget(accuracy_drop=0.04, confidence=confidence),
            [fixed_point(bits, 8) for bits in (8, 6, 4, 3)],
            data=data(model),
            cost=formula,
            confirm=confirm,
        )
        assert found.met
        assert found.report.found.accuracy is not None
        assert found.report.found.accuracy * 800 == round(found.report.found.accuracy * 800)
        drop, error = 1 - found.report.found.accuracy, found.report.found.accuracy_error or 0.0
        assert error == pytest.approx(sqrt((drop + 1 / 800 - drop**2) / 800))
        assert drop + (1.645 * error if confidence else 0.0) <= 0.04
        energies.append(found.report.found.energy_pj or 0.0)
    assert energies[0] <= energies[1]
    assert confirm.calls < trial.calls + 20


def test_a_share_alone_gives_no_confidence() -> None:
    model = chain()
    with pytest.raises(InputError, match=r"confidence = 0\.9: evaluate must return a list"):
        search(
            model,
            None,
            lambda module: 0.5,
            Budget(accuracy_drop=0.04, confidence=0.9),
            [fixed_point(8, 8)],
            data=data(model),
            cost=formula,
        )
    with pytest.raises(InputError, match=r"confidence = 0\.2: from 0\.5"):
        Budget(accuracy_drop=0.04, confidence=0.2)
    nothing: Any = {}
    with pytest.raises(EvaluationError, match=r"evaluate: returned \{\}"):
        search(
            model,
            None,
            lambda module: nothing,
            Budget(accuracy_drop=0.1),
            data=data(model),
            cost=formula,
        )
