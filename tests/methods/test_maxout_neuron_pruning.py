"""Moya Rueda, Grzeszick and Fink, arXiv:1707.06838."""

import numpy as np
import pytest
import torch
from torch import nn

from compressors._compress import compress
from compressors._data import Data
from compressors._plan import uniform
from compressors.structure._groups import channel_groups
from compressors.structure._remove import remove_
from compressors.structure._repair import mix_
from compressors.structure._units import Units, count_wins, hooked
from tests.methods.conftest import accuracy

SMALL = {"fit": {"epochs": 1, "batch": 3}}
SMALL_KEEP = ("3",)


def units_of(model: nn.Module, number: int, pieces: int) -> Units:
    return Units(model, channel_groups(model)[number], pieces)


def test_wins_are_numpys_and_one_a_sample(mlp: nn.Module, training: Data) -> None:
    """The last unit of fifty neurons in threes has two."""
    few, units = training.first(150), units_of(mlp, 1, 3)
    assert isinstance(mlp, nn.Sequential)
    count_wins(mlp, [units], few)
    with torch.no_grad():
        values = mlp[:4](few.images).numpy()
    for start in range(0, 50, 3):
        winners = values[:, start : start + 3].argmax(1)
        wanted = np.bincount(winners, minlength=len(values[0, start : start + 3]))
        assert np.array_equal(units.wins[start : start + 3], wanted)
    assert int(units.wins.sum()) == 150 * 17


def test_who_never_wins_is_not_missed(cnn: nn.Module, training: Data) -> None:
    """After batch-norm; the output of the joined network is the same without the losers."""
    few, units = training.first(100), units_of(cnn, 1, 2)
    cnn.get_parameter("4.bias").data[1::2] = -100
    with torch.no_grad(), hooked(cnn, [units], Units.joined):
        wanted = cnn(few.images)
        count_wins(cnn, [units], few)
        assert units.wins[1::2].sum() == 0
        units.drop_losers()
        assert torch.equal(units.alive, torch.arange(16) % 2 == 0)
        assert torch.equal(cnn(few.images), wanted)
    mix_(cnn, units.group, units.mix())
    remove_(cnn, {units.group: units.alive})
    assert torch.allclose(cnn(few.images), wanted, rtol=1e-4, atol=1e-4)


def test_pieces_divide_the_widths(mlp: nn.Module, training: Data) -> None:
    config = {"pieces": 3, "fit": {"epochs": 0.2}}
    plan = uniform(("maxout_neuron_pruning", config), keep=["5"])
    smaller = compress(mlp, plan, data=training.first(1000))
    assert [len(smaller.get_parameter(f"{path}.weight")) for path in "135"] == [34, 17, 10]
    assert all(not part._forward_hooks for part in smaller.modules())


@pytest.mark.slow
def test_half_of_the_neurons_for_less_than_a_point(
    mlp: nn.Module, training: Data, testing: Data
) -> None:
    """Both trainings, of the joined network and of what is left, as long as they need to be."""
    fit = {"epochs": 4.0, "learning_rate": 0.05}
    plan = uniform(("maxout_neuron_pruning", {"fit": fit}), keep=["5"])
    assert accuracy(compress(mlp, plan, data=training), testing) > accuracy(mlp, testing) - 0.01
