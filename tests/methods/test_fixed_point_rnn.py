"""Shin, Hwang and Sung, ICASSP 2016, arXiv:1512.01322."""

import copy
from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from compressors._compress import compress
from compressors._data import Data
from compressors._held_out import split
from compressors._layers import weight_of
from compressors._plan import uniform
from compressors.fixed_point_rnn import Config, allocation, frontier, sensitivity
from compressors.weights._form import code_of
from hwsim.errors import InputError
from tests.methods.conftest import accuracy, trained
from tests.methods.integer_reference import quantiser_of

SMALL = {"widths": [2, 8], "signal_widths": [8], "fit": {"epochs": 0.1}}
METHOD = "fixed_point_rnn"


class Recurrent(nn.Module):
    """Reads a picture row by row, from the top."""

    def __init__(self) -> None:
        super().__init__()
        self.inward, self.recurrent = nn.Linear(16, 24), nn.Linear(24, 24, bias=False)
        self.outward = nn.Linear(24, 10)

    def forward(self, images: Tensor) -> Tensor:
        state = images.new_zeros(len(images), 24)
        for row in images[:, 0].unbind(1):
            state = torch.tanh(self.inward(row) + self.recurrent(state))
        logits: Tensor = self.outward(state)
        return logits


@pytest.fixture(scope="module")
def trained_rnn(training: Data) -> nn.Module:
    torch.manual_seed(0)
    return trained(Recurrent(), training, epochs=3, rate=0.1)


@pytest.fixture
def rnn(trained_rnn: nn.Module) -> nn.Module:
    return copy.deepcopy(trained_rnn)


LOSSES = st.dictionaries(st.integers(2, 8), st.integers(0, 9), min_size=1, max_size=3)


@given(st.lists(st.tuples(LOSSES, st.integers(1, 50)), min_size=1, max_size=4))
@settings(max_examples=60, deadline=None)
def test_allocation_is_the_best_of_all(layers: list[tuple[dict[int, int], int]]) -> None:
    table = {str(i): {b: n / 100 for b, n in found.items()} for i, (found, _) in enumerate(layers)}
    sizes = {str(i): size for i, (_, size) in enumerate(layers)}
    everything = [
        (
            sum(sizes[p] * b for p, b in zip(table, widths, strict=True)),
            sum(table[p][b] for p, b in zip(table, widths, strict=True)),
        )
        for widths in product(*table.values())
    ]
    for bits, lost, _ in frontier(table, sizes):
        assert not [one for one in everything if one[0] <= bits and one[1] < lost - 1e-9]
        assert not [one for one in everything if one[0] < bits and one[1] <= lost + 1e-13]
    chosen = allocation(table, sizes, Config(margin=0.05))
    fitting = [bits for bits, lost in everything if lost <= 0.05 + 1e-12]
    if fitting:
        assert sum(sizes[p] * b for p, b in chosen.items()) == min(fitting)
    budget = sorted(bits for bits, _ in everything)[len(everything) // 2]
    within = allocation(table, sizes, Config(bits_per_weight=budget / sum(sizes.values()) + 1e-9))
    assert sum(sizes[p] * b for p, b in within.items()) <= budget
    least = min(lost for bits, lost in everything if bits <= budget)
    assert sum(table[p][b] for p, b in within.items()) == pytest.approx(least)


def test_impossible_budgets_are_refused() -> None:
    with pytest.raises(InputError, match=r"bits_per_weight = 1.5: the narrowest widths take 2"):
        allocation({"a": {2: 0.0, 4: 0.0}}, {"a": 10}, Config(bits_per_weight=1.5))


def test_matrices_differ_in_sensitivity(rnn: nn.Module, training: Data) -> None:
    """Which of them is the most sensitive is measured, not assumed; more bits lose less."""
    _, held_out = split(training, share=0.1, seed=0)
    config = Config(widths=(2, 3, 8))
    table = sensitivity(rnn, ["inward", "recurrent", "outward"], config, held_out)
    at_two = {path: losses[2] for path, losses in table.items()}
    assert len(set(at_two.values())) == 3
    assert all(losses[8] <= losses[2] for losses in table.values())
    assert all(losses[8] < 0.01 for losses in table.values())


def test_budget_is_met_and_signals_are_narrow(rnn: nn.Module, training: Data) -> None:
    method = (METHOD, {"bits_per_weight": 3.5, "fit": {"epochs": 0}})
    found = compress(rnn, uniform(method), data=training.first(800))
    layers = [found.get_submodule(path) for path in ("inward", "recurrent", "outward")]
    bits = sum(code_of(layer).bits() - 32 for layer in layers)
    assert bits <= 3.5 * sum(weight_of(layer).numel() for layer in layers)
    assert len({quantiser_of(layer).bits for layer in layers}) == 1


@pytest.mark.slow
def test_retraining_beats_direct_quantisation(
    rnn: nn.Module, training: Data, testing: Data
) -> None:
    found = []
    for epochs in (0, 2):
        method = (METHOD, {"bits_per_weight": 3, "signal_widths": [6], "fit": {"epochs": epochs}})
        found.append(accuracy(compress(rnn, uniform(method), data=training), testing))
    assert found[1] > found[0]
