"""Li, Ni, Zhang, Yang and Gao, ICCV 2017."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from compressors._compress import compress
from compressors._data import Data
from compressors._layers import weight_of
from compressors._plan import uniform
from compressors.activations._quantiser import quantise_input_
from compressors.activations.residual_binary import ResidualBinary, Settings
from compressors.activations.sign import Sign, sign_settings
from compressors.projectors.signs import Signs
from compressors.weights._form import set_form_
from compressors.weights.straight_through import StraightThrough
from tests.methods.conftest import accuracy
from tests.methods.integer_reference import quantiser_of, sums, weight_integers

SMALL = {"fit": {"epochs": 0.1}}


@given(st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_each_term_leaves_less(seed: int) -> None:
    """||R_(i+1)||^2 = ||R_i||^2 - n b_i^2, as b is the best scale of the signs."""
    numbers = torch.randn(3, 40, generator=torch.Generator().manual_seed(seed)).double()
    scales, signs = ResidualBinary(Settings(order=6, axis=-1)).expansion(numbers)
    rest = numbers
    for b, h in zip(scales, signs, strict=True):
        left = rest - b * h
        wanted = rest.square().sum(1) - 40 * b.flatten() ** 2
        assert torch.allclose(left.square().sum(1), wanted)
        assert torch.all(wanted < rest.square().sum(1))
        assert set(h.flatten().tolist()) <= {-1.0, 1.0}
        rest = left


def test_one_term_is_the_binarisation_of_xnor_net() -> None:
    """On a linear layer, where a row of the ifmap is what an output sees."""
    layers = []
    ifmap = torch.randn(5, 12, generator=torch.Generator().manual_seed(0))
    for quantiser in (
        ResidualBinary(Settings(order=1, axis=-1)),
        Sign(sign_settings(nn.Linear(12, 4), normalised=False, scaled=True)),
    ):
        torch.manual_seed(1)
        layer = nn.Linear(12, 4)
        set_form_(layer, StraightThrough(Signs()))
        quantise_input_(layer, quantiser)
        layers.append(layer(ifmap))
    assert torch.allclose(layers[0], layers[1], atol=1e-5)


def test_the_layer_is_a_sum_of_binary_convolutions(cnn: nn.Module, training: Data) -> None:
    method = ("horq_net", {"order": 3, "fit": {"epochs": 0.1}})
    layer = compress(cnn, uniform(method), data=training.first(256)).get_submodule("3")
    quantiser = quantiser_of(layer)
    assert isinstance(quantiser, ResidualBinary)
    assert (quantiser.binary, quantiser.bits, quantiser.terms) == (True, 3, 3)
    ifmap = torch.randn(2, 8, 9, 7, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        centred = quantiser.norm(ifmap.flatten(2)).reshape(ifmap.shape)
        scales, signs = quantiser.expansion(centred)
        found = layer(ifmap).double().numpy()
    alpha = weight_of(layer).detach().abs()[:, 0, 0, 0].double().numpy().reshape(1, -1, 1, 1)
    weights, total = weight_integers(layer), np.zeros(found.shape)
    for b, h in zip(scales, signs, strict=True):
        total += sums(layer, h.numpy().astype(np.int64), weights) * b.double().numpy()
    assert np.allclose(found, total * alpha, atol=1e-4)


def test_gradients_pass_through_all_terms() -> None:
    """Autograd on the written-out sum, the signs' gradient clipped."""
    quantiser = ResidualBinary(Settings(order=2, axis=-1))
    ifmap = torch.randn(4, 6, generator=torch.Generator().manual_seed(0)) * 0.3
    left, right = (ifmap.clone().requires_grad_() for _ in range(2))
    weighing = torch.randn(4, 6, generator=torch.Generator().manual_seed(1))
    torch.autograd.backward((quantiser(left) * weighing).sum())
    b = right.abs().mean(1, keepdim=True)
    rest = right - b * (right.sign().detach() + right - right.detach())
    c = rest.abs().mean(1, keepdim=True)
    second = rest.sign().detach() + rest - rest.detach()
    first = right.sign().detach() + right - right.detach()
    torch.autograd.backward(((b * first + c * second) * weighing).sum())
    assert left.grad is not None
    assert right.grad is not None
    assert torch.allclose(left.grad, right.grad, atol=1e-5)


@pytest.mark.slow
def test_a_second_term_helps(cnn: nn.Module, training: Data, testing: Data) -> None:
    fit = {"epochs": 2, "learning_rate": 0.05, "weight_decay": 0}
    plans = [uniform(("horq_net", {"order": order, "fit": fit})) for order in (1, 2)]
    found = [accuracy(compress(cnn, plan, data=training), testing) for plan in plans]
    assert found[1] >= found[0]
