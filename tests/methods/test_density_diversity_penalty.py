"""Wang, Cai, Bilmes and Noble, ICLR 2017."""

import pytest
import torch
from torch import nn

from compressors._compress import compress
from compressors._data import Data
from compressors._layers import weight_of, weighted_layers
from compressors._plan import uniform
from compressors.pruning.targets import density, targets
from compressors.training.diversity import diversity_slope
from compressors.weights._form import code_of
from compressors.weights.masked import mask_
from tests.methods.conftest import accuracy

SMALL = {"train": {"epochs": 1}, "fit": {"epochs": 1}}
TRAIN = {"epochs": 2, "learning_rate": 0.05, "weight_decay": 0}


def penalised(model: nn.Module, data: Data, **settings: object) -> nn.Module:
    found = {"train": TRAIN, "fit": {"epochs": 0}} | settings
    return compress(model, uniform(("density_diversity_penalty", found)), data=data)


@pytest.mark.parametrize("ties", [False, True])
def test_slope_by_sorting_is_that_of_all_pairs(ties: bool) -> None:
    values = torch.randn(7, 9, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    values = (values * 2).round() if ties else values
    flat = values.flatten().requires_grad_()
    pairs = (flat[:, None] - flat[None, :]).abs().sum()
    (slope,) = torch.autograd.grad(pairs, flat)
    assert torch.allclose(diversity_slope(values).flatten(), slope, atol=1e-6)


def test_values_are_fewer_and_zeros_more_than_with_l1_alone(mlp: nn.Module, training: Data) -> None:
    """Entropy, in bits a weight, of one k-means table of each layer."""
    alone, both = (
        penalised(mlp, training, density=2.0, diversity=strength) for strength in (0.0, 1.0)
    )
    shares, bits = [], []
    for model in (alone, both):
        shares.append(density(targets(model, list(weighted_layers(model)))))
        weight = weight_of(model.get_submodule("1"))
        _, counts = torch.unique(weight, return_counts=True)
        share = counts / weight.numel()
        bits.append(float(-(share * share.log2()).sum()))
    assert shares[1] < shares[0]
    assert bits[1] < bits[0]


def test_weights_are_tied_and_an_earlier_mask_is_kept(mlp: nn.Module, training: Data) -> None:
    mask_(mlp.get_submodule("3"), torch.arange(5000).reshape(50, 100) % 3 > 0)
    settings = {"bits": 3, "train": {"epochs": 0.2}, "fit": {"epochs": 0.2}, "cycles": 2}
    found = penalised(mlp, training, **settings)
    for layer in weighted_layers(found).values():
        assert len(torch.unique(weight_of(layer))) <= 9
    assert not weight_of(found.get_submodule("3")).flatten()[::3].any()
    assert code_of(found.get_submodule("1")).kind == "sparse"


@pytest.mark.slow
def test_loses_less_than_a_point(mlp: nn.Module, training: Data, testing: Data) -> None:
    settings = {
        "density": 1.0,
        "diversity": 0.25,
        "train": TRAIN | {"epochs": 6},
        "fit": {"learning_rate": 0.1},
    }
    found = penalised(mlp, training, **settings)
    bits = sum(code_of(layer).bits() for layer in weighted_layers(found).values())
    share = density(targets(found, ["1", "3", "5"]))
    print(accuracy(mlp, testing), accuracy(found, testing), share, 31100 * 32 / bits)
    assert accuracy(found, testing) > accuracy(mlp, testing) - 0.01
    assert share < 0.95
