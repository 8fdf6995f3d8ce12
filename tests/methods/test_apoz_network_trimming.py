"""Hu et al., arXiv:1607.03250."""

import numpy as np
import torch
from torch import nn

from compressors._compress import compress
from compressors._data import Data
from compressors._plan import uniform
from compressors._probe import feature_maps
from hwsim.frontends.torch import network_from_torch, with_densities
from hwsim.hardware import load_machine
from hwsim.simulate import simulate

SMALL = {"fit": {"epochs": 1, "batch": 3}}
SMALL_KEEP = ("3",)
PLAN = uniform(("apoz_network_trimming", {"images": 300}), keep=["9"])
DEAD = 5


def killed(cnn: nn.Module) -> nn.Module:
    """A filter that never fires."""
    cnn.get_parameter("4.weight").data[DEAD] = 0
    cnn.get_parameter("4.bias").data[DEAD] = -1
    return cnn


def test_counts_zeros_after_relu(cnn: nn.Module, training: Data) -> None:
    few = training.first(130)
    found = feature_maps(killed(cnn), ["3"], few)["3"].zeros
    assert isinstance(cnn, nn.Sequential)
    with torch.no_grad():
        maps = cnn[:6](few.images).numpy()
    assert np.allclose(found, (maps == 0).mean((0, 2, 3)), atol=1e-6)
    assert found[DEAD] == 1


def test_what_is_a_deviation_above_the_mean_goes(cnn: nn.Module, training: Data) -> None:
    """The dead filter, and with it nothing of the output."""
    zeros = feature_maps(killed(cnn), ["3"], training.first(300))["3"].zeros.double()
    stays = zeros <= zeros.mean() + zeros.std(correction=0)
    assert not stays[DEAD]
    smaller = compress(cnn, PLAN, data=training)
    weight = cnn.get_parameter("4.weight").detach()
    assert torch.equal(smaller.get_parameter("4.weight").detach(), weight[stays])
    only = uniform(("apoz_network_trimming", {"deviations": 3.3}), keep=["0", "6", "9"])
    trimmed = compress(cnn, only, data=training)
    assert len(trimmed.get_parameter("4.weight")) == 15
    assert torch.allclose(trimmed(training.images[:9]), cnn(training.images[:9]), atol=1e-5)


def test_less_is_left_for_hardware_that_gates_zeros(cnn: nn.Module, training: Data) -> None:
    """What gating saves, as a share of the dense energy, shrinks with the share of zeros."""
    images = training.images[:64]
    savings = []
    for model in (cnn, compress(cnn, PLAN, data=training)):
        dense = network_from_torch(model, (images[:1],), name="cnn")
        gated = with_densities(dense, model, images)
        energies = [
            sum(
                layer.cost.energy_pj
                for layer in simulate(network, load_machine("eyeriss_v1"), workers=1).layers
                if layer.layer.weighted
            )
            for network in (dense, gated)
        ]
        savings.append(1 - energies[1] / energies[0])
    assert 0 < savings[1] < savings[0]
