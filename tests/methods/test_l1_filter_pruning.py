"""Li et al., arXiv:1608.08710."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from compressors._compress import compress
from compressors._data import Data
from compressors._layers import weight_of, weighted_layers
from compressors._plan import Plan, uniform
from compressors.weights.masked import mask_
from hwsim.errors import InputError
from hwsim.frontends.torch import network_from_torch, with_densities
from hwsim.hardware import load_machine
from hwsim.simulate import simulate
from models import resnet18
from tests.methods.conftest import accuracy
from tests.torch_modules import flop_counter_macs

SMALL = {"fit": {"epochs": 1, "batch": 3}}
SMALL_KEEP = ("3",)
HEAD = "9"
INPUT = torch.zeros(1, 1, 16, 16)


def plan_of(keep: float, **settings: object) -> Plan:
    return uniform(("l1_filter_pruning", {"keep": keep, **settings}), keep=[HEAD])


def test_the_weakest_filters_go(cnn: nn.Module) -> None:
    """By numpy: what remains are the filters of largest sums, in their order."""
    smaller = compress(cnn, plan_of(0.75))
    weights = [cnn.get_parameter(f"{path}.weight").detach().numpy() for path in "03"]
    sums = [np.abs(weight).sum((1, 2, 3)) for weight in weights]
    first, second = np.sort(np.argsort(-sums[0])[:6]), np.sort(np.argsort(-sums[1])[:12])
    found = smaller.get_parameter("3.weight").detach()
    assert np.array_equal(found, weights[1][second][:, first])


def test_greedy_sums_leave_out_what_is_gone(cnn: nn.Module) -> None:
    smaller = compress(cnn, plan_of(0.5, selection="greedy"))
    before, weight = (cnn.get_parameter(f"{path}.weight").detach() for path in "03")
    first = before.abs().sum((1, 2, 3)).topk(4).indices.sort().values
    second = weight[:, first].abs().sum((1, 2, 3)).topk(8).indices.sort().values
    assert torch.equal(smaller.get_parameter("3.weight").detach(), weight[second][:, first])


def test_macs_follow_the_closed_form(cnn: nn.Module) -> None:
    """m of n filters gone: (1 - m/n) of the layer, and as much of the next."""
    smaller = compress(cnn, plan_of(0.5))
    macs = [8 * 9 * 256, 16 * 8 * 9 * 49, 16 * 16 * 9 * 9, 144 * 10]
    assert flop_counter_macs(cnn, (INPUT,)) == sum(macs)
    wanted = macs[0] // 2 + macs[1] // 4 + macs[2] // 4 + macs[3] // 2
    assert flop_counter_macs(smaller, (INPUT,)) == wanted


def test_residual_layers_lose_the_same_filters() -> None:
    model = resnet18.build(classes=7)
    keep = [path for path in weighted_layers(model) if not path.startswith("layer3")]
    smaller = compress(model, uniform("l1_filter_pruning", keep=keep))
    blocks = ("0.conv2", "0.downsample.0", "1.conv2")
    weights = [model.get_parameter(f"layer3.{path}.weight").detach() for path in blocks]
    sums = torch.stack([weight.abs().sum((1, 2, 3)) for weight in weights]).mean(0)
    kept = sums.topk(128).indices.sort().values
    # What they read is fewer as well, but for the projection's.
    projected = smaller.get_parameter("layer3.0.downsample.0.weight")
    assert torch.equal(projected, weights[1][kept])
    assert weight_of(smaller.get_submodule("layer4.0.conv1")).shape[1] == 128
    assert smaller(torch.randn(1, 3, 32, 32)).shape == (1, 7)


def test_what_cannot_go_alone_is_refused(cnn: nn.Module) -> None:
    with pytest.raises(InputError, match=r"'9': l1_filter_pruning: .* output: give it"):
        compress(cnn, uniform("l1_filter_pruning"))
    residual = resnet18.build(classes=7)
    keep = [path for path in weighted_layers(residual) if path != "layer1.1.conv2"]
    with pytest.raises(InputError, match=r"'layer1.1.conv2': .* with those of 'conv1'"):
        compress(residual, uniform("l1_filter_pruning", keep=keep))
    with pytest.raises(InputError, match="needs labels"):
        compress(cnn, plan_of(0.5, fit={}))


def test_filters_cut_cycles_and_masks_do_not(cnn: nn.Module, training: Data) -> None:
    """On plain hardware, which skips no zeros; the masked network is as sparse as the small one.

    It is priced with the maps of the dense one: zeros there, which DRAM does not store, are the
    training's, not the masks'.
    """
    machine = load_machine("eyeriss_v1")
    smaller, masked = compress(cnn, plan_of(0.5)), copy.deepcopy(cnn)
    draw = torch.Generator().manual_seed(0)
    for layer in weighted_layers(masked).values():
        mask_(layer, torch.rand(weight_of(layer).shape, generator=draw) < 0.25)
    dense, sparse, small = (
        with_densities(network_from_torch(model, (INPUT,), name="cnn"), model, training.images[:4])
        for model in (cnn, masked, smaller)
    )
    sparse = dense.with_layers(
        {layer.name: replace(layer, weight=sparse[layer.name].weight) for layer in dense}
    )
    cycles, energies = [], []
    for network in (dense, sparse, small):
        result = simulate(network, machine, workers=1)
        cycles.append(sum(layer.cost.cycles for layer in result.layers))
        energies.append(sum(layer.cost.energy_pj for layer in result.layers))
    assert cycles[1] > 0.99 * cycles[0]
    assert cycles[2] < 0.7 * cycles[0]
    assert energies[2] < 0.7 * energies[0]


@pytest.mark.slow
def test_retraining_recovers(cnn: nn.Module, training: Data, testing: Data) -> None:
    """At least 30 % of the MACs gone, within a point."""
    fit = {"epochs": 4, "learning_rate": 0.02}
    smaller = compress(cnn, plan_of(0.75, fit=fit), data=training)
    before, after = (flop_counter_macs(model, (INPUT,)) for model in (cnn, smaller))
    assert after <= 0.7 * before
    assert accuracy(smaller, testing) > accuracy(cnn, testing) - 0.01
