"""Ullrich, Meeds and Welling, ICLR 2017, arXiv:1702.04008.

The catalogue asks for a twentieth of the size; the network here has 31,100 weights and no
redundancy of LeNet's kind, so that less is asked, before any entropy coding.
"""

import numpy as np
import pytest
import torch
from scipy.stats import norm
from torch import nn

from compressors._compress import compress
from compressors._data import Data
from compressors._layers import weight_of, weighted_layers
from compressors._plan import uniform
from compressors.pruning.targets import density, targets
from compressors.training.mixture import Mixture, merged
from compressors.weights._form import code_of
from compressors.weights.masked import mask_
from tests.methods.conftest import accuracy

SMALL = {"train": {"epochs": 1}, "fit": {"epochs": 1}}


def mixture() -> Mixture:
    return Mixture(torch.tensor([-2.0, 0.5, 1.5]), components=4, zero_share=0.8)


def test_is_the_mixture_of_gaussians_that_scipy_computes() -> None:
    prior, values = mixture(), np.linspace(-2.2, 2.2, 9)
    centres = np.array([0.0, -2.0, -5 / 6, 1 / 3, 1.5])
    assert np.allclose(prior.centres.detach(), centres, atol=1e-6)
    spread = 0.5 / 3 * 2
    shares = np.array([0.8, 0.05, 0.05, 0.05, 0.05])
    joint = shares * norm.pdf(values[:, None], centres, spread)
    found = torch.from_numpy(values).float()
    assert prior(found).item() == pytest.approx(-np.log(joint.sum(1)).sum(), rel=1e-5)
    answers = prior.responsibilities(found).detach().numpy()
    assert np.allclose(answers, joint / joint.sum(1, keepdims=True), atol=1e-5)
    assert np.allclose(answers.sum(1), 1, atol=1e-6)


def test_minus_log_p_falls_as_the_mixture_trains() -> None:
    prior, values = mixture(), torch.randn(500, generator=torch.Generator().manual_seed(0))
    optimiser, found = torch.optim.SGD(prior.parameters(), lr=1e-4), []
    for _ in range(50):
        optimiser.zero_grad()
        loss = prior(values)
        torch.autograd.backward(loss)
        optimiser.step()
        found.append(loss.item())
    assert found == sorted(found, reverse=True)
    assert torch.equal(prior.zero_share, torch.tensor(0.8))
    assert prior.centres[0] == 0


def test_close_components_become_one() -> None:
    """0.01 joins zero; 0.5 and 0.52, with 1 and 3 weights, join at 0.515; nobody has 0.9."""
    centres = torch.tensor([0.0, 0.52, 0.9, 0.01, 0.5, -0.7])
    found = torch.tensor([[0, 1, 1], [1, 3, 4], [5, 0, 3]])
    table, entries = merged(centres, found, 0.05)
    assert torch.allclose(table, torch.tensor([0.0, -0.7, 0.515]))
    assert entries.tolist() == [[0, 2, 2], [2, 0, 2], [1, 0, 0]]


def test_values_are_few_and_zeros_emerge(mlp: nn.Module, training: Data) -> None:
    mask_(mlp.get_submodule("3"), torch.arange(5000).reshape(50, 100) % 3 > 0)
    settings = {"components": 7, "train": {"epochs": 0.5, "learning_rate": 0.03}}
    found = compress(mlp, uniform(("soft_weight_sharing", settings)), data=training)
    for layer in weighted_layers(found).values():
        assert len(torch.unique(weight_of(layer))) <= 8
        assert torch.equal(code_of(layer).decode(), weight_of(layer))
        assert density(targets(layer, [""])) < 0.95
    assert not weight_of(found.get_submodule("3")).flatten()[::3].any()


@pytest.mark.slow
def test_a_tenth_of_the_size_loses_less_than_a_point(
    mlp: nn.Module, training: Data, testing: Data
) -> None:
    plan = uniform(("soft_weight_sharing", {"zero_share": 0.7}), "huffman_coding")
    found = compress(mlp, plan, data=training)
    bits = sum(code_of(layer).bits() for layer in weighted_layers(found).values())
    print(accuracy(mlp, testing), accuracy(found, testing), 31100 * 32 / bits)
    assert bits < 31100 * 32 / 10
    assert accuracy(found, testing) > accuracy(mlp, testing) - 0.01
