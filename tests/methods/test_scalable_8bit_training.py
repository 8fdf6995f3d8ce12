"""Banner, Hubara, Hoffer and Soudry, NeurIPS 2018."""

from math import log

import pytest
import torch
from torch import Tensor, nn

import compressors.scalable_8bit_training as method
from compressors._compress import compress
from compressors._data import Data
from compressors._fit import Fit
from compressors._fit import fit as train
from compressors._plan import uniform
from compressors._range_norm import RangeNorm, range_norms, share
from compressors.gradients.affine import Affine
from compressors.weights._form import code_of
from tests.methods.conftest import accuracy
from tests.methods.integer_reference import quantiser_of

SMALL = {"fit": {"epochs": 0.1}}
METHOD = "scalable_8bit_training"


def test_range_follows_the_deviation() -> None:
    """Of Gaussian batches of 1000: 0.87 of it on average, give or take 7 %; the gain is free."""
    batches = torch.randn(2000, 1000, generator=torch.Generator().manual_seed(0)).double()
    spread = share(1000) * (batches.amax(1) - batches.amin(1)) / batches.std(1)
    assert float(spread.mean()) == pytest.approx(0.87, abs=0.01)
    assert float(spread.std() / spread.mean()) == pytest.approx(0.07, abs=0.02)
    assert share(1000) == pytest.approx(0.5 / (2 * log(1000)) ** 0.5)


@pytest.mark.parametrize("shape", [(6, 3, 5, 4), (40, 3), (6, 3, 7)])
def test_range_norm_is_the_formula_and_ignores_scale(shape: tuple[int, ...]) -> None:
    norm = RangeNorm(3, eps=0.0)
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([0.5, 1.0, 2.0]))
    ifmap = torch.randn(shape, generator=torch.Generator().manual_seed(0)) * 3 + 1
    found = norm(ifmap)
    assert torch.allclose(norm(ifmap * 17), found, atol=1e-5)
    channel = ifmap[:, 2]
    divisor = share(channel.numel()) * (channel.max() - channel.min())
    wanted = 2 * (channel - channel.mean()) / divisor
    assert torch.allclose(found[:, 2], wanted, atol=1e-5)


def test_it_ends_as_ordinary_batch_normalisation() -> None:
    """Its statistics make the batch's own normalisation."""
    model = nn.Sequential(nn.BatchNorm2d(3, momentum=1.0))
    ifmap = torch.randn(4, 3, 6, 5, generator=torch.Generator().manual_seed(0))
    with range_norms(model):
        assert isinstance(model[0], RangeNorm)
        wanted = model(ifmap)
    assert type(model[0]) is nn.BatchNorm2d
    assert torch.allclose(model.eval()(ifmap), wanted, atol=1e-4)


def test_channels_that_hardly_vary_are_evaluated_as_they_were_trained() -> None:
    """Where the range is less than the root of eps, such as in channels that are dead."""
    model = nn.Sequential(nn.BatchNorm2d(3, momentum=1.0))
    ifmap = torch.randn(4, 3, 6, 5, generator=torch.Generator().manual_seed(0))
    ifmap *= torch.tensor([1.0, 1e-2, 1e-4])[:, None, None]
    with range_norms(model):
        wanted = model(ifmap)
    assert torch.allclose(model.eval()(ifmap), wanted, atol=1e-4)


@pytest.mark.parametrize("bits", [4, 6, 8])
def test_angles_shrink_with_the_step(bits: int) -> None:
    """Noise of a uniform step at random: cos = (1 + n s^2 / 6 / |g|^2)^-1/2; above 0.99 at 8."""
    gradient = torch.randn(40000, generator=torch.Generator().manual_seed(0)).double()
    torch.manual_seed(0)
    rounded = Affine(bits=bits)(gradient)
    cosine = float(nn.functional.cosine_similarity(gradient, rounded, dim=0))
    step = float(gradient.max() - gradient.min()) / (2**bits - 1)
    wanted = (1 + step**2 / 6 / float(gradient.square().mean())) ** -0.5
    assert cosine == pytest.approx(wanted, abs=0.003)
    assert cosine > 0.99 or bits < 8
    average = torch.stack([Affine(bits=bits)(gradient[:50]) for _ in range(2000)]).mean(0)
    assert float((average - gradient[:50]).abs().max()) < 0.1 * step


def test_gradients_are_bifurcated(
    cnn: nn.Module, training: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    """8 bits on their way back, 16 for the weights, in training alone."""
    used: set[int] = set()
    original = Affine.__call__

    def watched(self: Affine, numbers: Tensor) -> Tensor:
        found = original(self, numbers)
        distinct = len(set(found.flatten().tolist()))
        assert distinct <= 2**self.bits
        if numbers.numel() > 5000:
            used.add(self.bits)
            assert distinct > 256 or self.bits == 8
        return found

    monkeypatch.setattr(Affine, "__call__", watched)
    found = compress(cnn, uniform((METHOD, {"fit": {"epochs": 1}})), data=training.first(128))
    assert used == {8, 16}
    assert all(type(part) is not RangeNorm for part in found.modules())
    for path in ("0", "3", "6", "9"):
        layer = found.get_submodule(path)
        assert (code_of(layer).word_bits, quantiser_of(layer).bits) == (8, 8)
        assert not [hook for hook in layer._forward_hooks.values() if "training" in repr(hook)]


def test_range_norms_are_on_while_it_trains(
    cnn: nn.Module, training: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds: list[bool] = []

    def watched(model: nn.Module, images: Tensor, labels: Tensor, settings: Fit) -> None:
        kinds.extend(isinstance(model.get_submodule(path), RangeNorm) for path in ("1", "4"))
        train(model, images, labels, settings)

    monkeypatch.setattr(f"{method.__name__}.fit", watched)
    for range_norm in (True, False):
        settings = {"range_norm": range_norm, "fit": {"epochs": 0.1}}
        compress(cnn, uniform((METHOD, settings)), data=training.first(64))
    assert kinds == [True, True, False, False]


def test_loses_less_than_a_point(cnn: nn.Module, training: Data, testing: Data) -> None:
    found = compress(cnn, uniform((METHOD, {"fit": {"learning_rate": 0.05}})), data=training)
    assert accuracy(found, testing) > accuracy(cnn, testing) - 0.01
