"""Rastegari, Ordonez, Redmon and Farhadi, ECCV 2016."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from compressors._compress import compress
from compressors._data import Data
from compressors._layers import weight_of
from compressors._plan import uniform
from compressors.activations._quantiser import input_quantiser, quantise_input_
from compressors.activations.sign import Sign, mean_magnitudes, sign_settings
from compressors.projectors.signs import Signs
from compressors.weights._form import set_form_
from compressors.weights.straight_through import StraightThrough
from tests.methods.conftest import accuracy
from tests.methods.integer_reference import quantiser_of, sums, weight_integers

SMALL = {"fit": {"epochs": 0.1}}


def binary(layer: nn.Module) -> nn.Module:
    """The layer with scaled signs on both sides, no normalisation."""
    set_form_(layer, StraightThrough(Signs(scope="filter")))
    quantise_input_(layer, Sign(sign_settings(layer, normalised=False, scaled=True)))
    return layer


def test_the_scale_is_the_best_one() -> None:
    weight = torch.randn(6, 4, 3, 2, generator=torch.Generator().manual_seed(0)).double()
    code = Signs(scope="filter").project(weight)
    assert code.scales is not None
    alpha, signs = code.scales.double(), weight.sign()
    best = (weight - alpha * signs).square().flatten(1).sum(1)
    closed = (weight * signs).flatten(1).sum(1) / signs.square().flatten(1).sum(1)
    assert torch.allclose(alpha.flatten(), closed, rtol=1e-6)
    for change in (0.9, 0.999, 1.001, 1.1):
        assert torch.all((weight - change * alpha * signs).square().flatten(1).sum(1) > best)


@pytest.mark.parametrize("groups", [1, 2])
def test_scales_are_box_filtered_magnitudes(groups: int) -> None:
    """K = A * k, A the mean of |I| over channels: the mean over each patch."""
    layer = nn.Conv2d(4, 6, (3, 2), stride=(2, 1), padding=(1, 0), groups=groups)
    ifmap = torch.randn(2, 4, 7, 5, generator=torch.Generator().manual_seed(0))
    patches = functional.unfold(ifmap, (3, 2), stride=(2, 1), padding=(1, 0))
    by_group = patches.reshape(2, groups, -1, patches.shape[2]).abs().mean(2)
    wanted = by_group.repeat_interleave(6 // groups, 1).reshape(2, 6, 4, 4)
    assert torch.allclose(mean_magnitudes(layer, ifmap), wanted, atol=1e-6)


@pytest.mark.parametrize(
    ("layer", "size"),
    [
        (nn.Conv2d(4, 6, (3, 2), stride=(2, 1), groups=2), (2, 4, 7, 6)),
        (nn.Conv2d(3, 5, 3, padding=1, bias=False), (2, 3, 7, 6)),
        (nn.Linear(20, 7), (3, 20)),
    ],
)
def test_exclusive_nors_and_two_scales_make_the_layer(
    layer: nn.Module, size: tuple[int, ...]
) -> None:
    """I * W = (sign(I) xnor-popcount sign(W)) . K alpha, plus the bias."""
    draw = torch.Generator().manual_seed(1)
    ifmap = torch.randn(size, generator=draw)
    alpha = weight_of(layer).detach().flatten(1).abs().mean(1)
    held = dict(layer.named_parameters()).get("bias")
    bias = torch.zeros(len(alpha)) if held is None else held.detach()
    found = binary(layer)(ifmap).detach()
    signs = np.where(ifmap.numpy() >= 0, 1, -1)
    total = torch.from_numpy(sums(layer, signs, weight_integers(layer)))
    shape = (1, -1, *[1] * (total.ndim - 2))
    scales = mean_magnitudes(layer, ifmap) * alpha.reshape(shape)
    assert torch.allclose(found, total * scales + bias.reshape(shape), atol=1e-5)


def test_many_images_at_a_time_keep_their_own_scales() -> None:
    """As accuracy is measured: batches side by side on one network."""
    layer = binary(nn.Conv2d(3, 5, 3)).eval()
    images = torch.randn(64, 3, 12, 12, generator=torch.Generator().manual_seed(0))
    images *= torch.linspace(0.1, 10, 64).reshape(-1, 1, 1, 1)
    with torch.no_grad(), ThreadPoolExecutor(4) as pool:
        found = list(pool.map(layer, torch.split(images, 1)))
        assert torch.allclose(torch.cat(found), layer(images), rtol=1e-4, atol=1e-5)


def test_what_is_binary(cnn: nn.Module, training: Data) -> None:
    few = training.first(256)
    found = compress(cnn, uniform(("xnor_net", {"fit": {"epochs": 0.1}})), data=few)
    assert input_quantiser(found.get_submodule("0")) is None
    assert all(quantiser_of(found.get_submodule(path)).binary for path in ("3", "6", "9"))
    method = ("xnor_net", {"binary_inputs": False, "fit": {"epochs": 0.1}})
    weights_alone = compress(cnn, uniform(method), data=few)
    assert all(
        input_quantiser(weights_alone.get_submodule(path)) is None for path in ("0", "3", "6", "9")
    )


@pytest.mark.slow
def test_scales_and_real_inputs_help(cnn: nn.Module, training: Data, testing: Data) -> None:
    """Binary weight network > XNOR-Net > signs alone, without any scale, on the same network."""
    fit = {"epochs": 2, "learning_rate": 0.05, "weight_decay": 0}
    methods = (
        ("xnor_net", {"binary_inputs": False, "fit": fit}),
        ("xnor_net", {"fit": fit}),
        ("binarized_neural_network", {"magnitude": "one", "fit": fit}),
    )
    found = [accuracy(compress(cnn, uniform(m), data=training), testing) for m in methods]
    assert found == sorted(found, reverse=True)


@pytest.mark.slow
def test_binary_weights_lose_less_than_two_points(
    cnn: nn.Module, training: Data, testing: Data
) -> None:
    fit = {"epochs": 8, "learning_rate": 0.05, "weight_decay": 0}
    plan = uniform(("xnor_net", {"binary_inputs": False, "fit": fit}))
    assert accuracy(compress(cnn, plan, data=training), testing) > accuracy(cnn, testing) - 0.02
