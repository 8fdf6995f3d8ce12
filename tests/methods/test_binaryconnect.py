"""Courbariaux, Bengio and David, NIPS 2015."""

import pytest
import torch
from torch import Tensor, nn

from compressors._compress import compress
from compressors._data import Data
from compressors._fit import Fit, Hook
from compressors._fit import fit as train
from compressors._layers import weight_of
from compressors._plan import uniform
from compressors.codes._level_sets import Integers
from compressors.codes.levels import Levels
from compressors.weights._binary import binarise_, magnitude
from compressors.weights._form import code_of, latent_of
from compressors.weights.masked import mask_
from compressors.weights.rounded import Rounded
from hwsim.errors import InputError
from hwsim.workload import Primitive
from tests.methods.conftest import accuracy

SMALL = {"fit": {"epochs": 0.1}}
PATHS = ["0", "3", "6", "9"]


def test_weights_are_signs_and_latents_stay_in_the_box(cnn: nn.Module, training: Data) -> None:
    method = ("binaryconnect", {"magnitude": "one", "fit": {"epochs": 0.2}})
    found = compress(cnn, uniform(method), data=training.first(1000))
    for path in PATHS:
        layer = found.get_submodule(path)
        assert torch.equal(weight_of(layer).abs(), torch.ones_like(weight_of(layer)))
        assert float(latent_of(layer).detach().abs().max()) <= 1
        code = code_of(layer)
        assert (code.word_bits, code.primitive) == (1, Primitive.ADD)


def test_latents_are_clipped_after_every_step(
    cnn: nn.Module, training: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    clipped: list[int] = []

    def watched(
        model: nn.Module, images: Tensor, labels: Tensor, settings: Fit, *, after_step: Hook
    ) -> None:
        def then(step: int) -> None:
            after_step(step)
            clipped.append(step)
            for path in PATHS:
                layer = model.get_submodule(path)
                height = magnitude(weight_of(layer), "glorot")
                assert float(latent_of(layer).detach().abs().max()) <= height * (1 + 1e-6)

        train(model, images, labels, settings, after_step=then)

    monkeypatch.setattr("compressors.binaryconnect.fit", watched)
    method = ("binaryconnect", {"fit": {"epochs": 1, "learning_rate": 1.0}})
    compress(cnn, uniform(method), data=training.first(512))
    assert len(clipped) == 4


def test_gradients_go_straight_through() -> None:
    layer = nn.Linear(6, 4)
    binarise_(layer, "one")
    ifmap = torch.randn(5, 6, generator=torch.Generator().manual_seed(0))
    torch.autograd.backward(layer(ifmap).square().sum())
    weight = weight_of(layer).detach().requires_grad_()
    output = nn.functional.linear(ifmap, weight, layer.bias.detach())
    torch.autograd.backward(output.square().sum())
    assert weight.grad is not None
    assert torch.equal(latent_of(layer).grad, weight.grad)  # type: ignore[arg-type]  # it is there


def test_draws_average_to_the_hard_sigmoid() -> None:
    """P(1) = clip((w + 1) / 2, 0, 1); for ternary levels E[w] = w (Lin et al., ICLR 2016)."""
    latent = torch.linspace(-1.25, 1.25, 11).repeat(20000, 1)
    layer = nn.Linear(11, 20000)
    binarise_(layer, "one", stochastic=True)
    form = layer.get_submodule("parametrizations.weight.0")
    assert isinstance(form, Rounded)
    torch.manual_seed(0)
    ones = (form.train()(latent) == 1).double().mean(0)
    wanted = ((latent[0].double() + 1) / 2).clamp(0, 1)
    assert torch.allclose(ones, wanted, atol=0.015)
    assert torch.equal(form.eval()(latent), torch.where(latent >= 0, 1.0, -1.0))
    ternary = Integers(low=-1, high=1)
    three = Rounded(Levels(ternary.nearest(latent), ternary), stochastic=True).train()(latent)
    assert torch.allclose(three.mean(0), latent[0].clamp(-1, 1), atol=0.015)


def test_glorot_magnitudes() -> None:
    assert magnitude(torch.zeros(30, 20), "glorot") == pytest.approx((1.5 / 50) ** 0.5)
    assert magnitude(torch.zeros(8, 4, 3, 2), "glorot") == pytest.approx((1.5 / 72) ** 0.5)


def test_pruned_layers_are_refused(cnn: nn.Module, training: Data) -> None:
    mask_(cnn.get_submodule("3"), torch.rand(16, 8, 3, 3) > 0.5)
    with pytest.raises(InputError, match=r"'3': binaryconnect: it is pruned"):
        compress(cnn, uniform("binaryconnect"), data=training.first(8))


@pytest.mark.slow
def test_loses_less_than_three_points(cnn: nn.Module, training: Data, testing: Data) -> None:
    """The catalogue asks for one point; a network of 4,000 weights has not the paper's slack."""
    method = ("binaryconnect", {"fit": {"epochs": 6, "learning_rate": 0.05, "weight_decay": 0}})
    found = compress(cnn, uniform(method), data=training)
    assert accuracy(found, testing) > accuracy(cnn, testing) - 0.03
