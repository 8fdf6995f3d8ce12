"""Banner, Hubara, Hoffer and Soudry, NeurIPS 2018."""

from math import log, pi

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm
from torch import Tensor, nn

import compressors.scalable_8bit_training as method
from compressors._compress import compress
from compressors._data import Data
from compressors._fit import Fit
from compressors._fit import fit as train
from compressors._layers import weight_of
from compressors._plan import uniform
from compressors._range_norm import RangeNorm, range_norms, share
from compressors.gradients.affine import Affine
from compressors.weights._form import code_of, latent_of
from tests.methods.conftest import accuracy
from tests.methods.integer_reference import ifmap_integers, quantiser_of, sums, weight_integers

SMALL = {"fit": {"epochs": 0.1}}
METHOD = "scalable_8bit_training"


def test_range_follows_the_deviation() -> None:
    """Of Gaussian batches of 1000: 0.87 of it on average, give or take 7 %; the gain is free."""
    batches = torch.randn(2000, 1000, generator=torch.Generator().manual_seed(0)).double()
    spread = share(1000) * (batches.amax(1) - batches.amin(1)) / batches.std(1)
    assert float(spread.mean()) == pytest.approx(0.87, abs=0.01)
    assert float(spread.std() / spread.mean()) == pytest.approx(0.07, abs=0.02)
    assert share(1000) == pytest.approx(0.5 / (2 * log(1000)) ** 0.5)


def test_ranges_are_within_the_published_bounds() -> None:
    """sqrt(ln n / (pi ln 2)) <= E max <= sqrt(2 ln n) for n Gaussians of deviation 1, so C(n)
    times the range is no more than 1, and no less than what it is for two, where it is least.
    """
    found = []
    for n in (2, 10, 100, 1000, 100000):
        mean, _ = quad(
            lambda x, n=n: x * n * norm.pdf(x) * norm.cdf(x) ** (n - 1), -9, 9, limit=200
        )
        found.append(share(n) * 2 * mean)
    assert found == sorted(found)
    assert found[0] == pytest.approx((2 * pi * log(2)) ** -0.5, rel=1e-5)
    assert found[-1] < 1


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


@given(st.lists(st.floats(-8, 8, width=32), min_size=1, max_size=9), st.integers(2, 12))
def test_gradients_go_to_a_level_beside_them(numbers: list[float], bits: int) -> None:
    """Of 2^bits from the least to the largest, which stay as they are; without chance, the nearest.

    By numpy in float64.
    """
    gradient = np.array(numbers, np.float32).astype(float)
    levels = np.linspace(gradient.min(), gradient.max(), 2**bits)
    fine, step = 1e-5 * np.ptp(levels) + 1e-30, np.ptp(levels) / (2**bits - 1)
    for stochastic in (True, False):
        rounding = Affine(bits=bits, stochastic=stochastic)
        found = rounding(torch.tensor(numbers, dtype=torch.float32)).double().numpy()
        assert np.abs(found[:, None] - levels).min(1).max() <= fine
        assert np.abs(found - gradient).max() <= (1 if stochastic else 0.5) * step + fine
        for end in (gradient.min(), gradient.max()):
            assert np.allclose(found[gradient == end], end, atol=fine)


def test_each_product_has_the_copy_that_is_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """g x^T is off by at most a step of 16 bits times the sum of |x|; W^T g by one of 8 bits, and
    by more than 16 bits could be.
    """
    torch.manual_seed(0)
    images, weighing = torch.randn(9, 6), torch.randn(9, 5)
    checked: list[nn.Module] = []

    def watched(model: nn.Module, *_: object) -> None:
        layer, ifmap = model.train().get_submodule("0"), images.clone().requires_grad_()
        torch.autograd.backward((layer(ifmap) * weighing).sum())
        gradient = latent_of(layer).grad
        assert ifmap.grad is not None
        assert gradient is not None
        weight, seen = weight_of(layer).detach(), quantiser_of(layer)(images).detach()
        here = (gradient - weighing.T @ seen).abs()
        onwards = (ifmap.grad - weighing @ weight).abs()
        fine, coarse = (float(weighing.max() - weighing.min()) / (2**b - 1) for b in (16, 8))
        assert torch.all(here <= fine * seen.abs().sum(0) + 1e-5)
        assert torch.all(onwards <= coarse * weight.abs().sum(0) + 1e-5)
        assert torch.any(onwards > 10 * fine * weight.abs().sum(0))
        checked.append(layer)

    monkeypatch.setattr(f"{method.__name__}.fit", watched)
    data = Data(images=2 * images, labels=torch.zeros(9, dtype=torch.int64))  # a range with room
    compress(nn.Sequential(nn.Linear(6, 5)), uniform(METHOD), data=data)
    assert checked


def test_forward_products_are_of_eight_bits(cnn: nn.Module, training: Data) -> None:
    """Affine as in gemmlowp: S_w S_x times the sums of (q - Z) (q' - Z'), zero being exact, and
    weights within half a step.
    """
    found = compress(cnn, uniform((METHOD, {"fit": {"epochs": 0}})), data=training.first(64))
    layer, before = found.get_submodule("3"), weight_of(cnn.get_submodule("3")).detach()
    ifmap = torch.randn(2, 8, 9, 7, generator=torch.Generator().manual_seed(0))
    weights, codes = weight_integers(layer), ifmap_integers(layer, ifmap)
    scale = float(before.clamp(min=0).max() - before.clamp(max=0).min()) / 255
    assert np.ptp(weights) <= 255 >= np.ptp(codes)
    assert float((weight_of(layer).detach() - before).abs().max()) <= 0.5 * scale * 1.001
    wanted = sums(layer, codes, weights) * scale * float(quantiser_of(layer).get_buffer("step"))
    with torch.no_grad():
        assert np.allclose(layer(ifmap).numpy(), wanted, atol=1e-4)


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
