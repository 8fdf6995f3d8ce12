"""Hwang and Sung, IEEE SiPS 2014."""

import numpy as np
import pytest
import torch
from torch import nn

from compressors._compress import compress
from compressors._data import Data
from compressors._layers import weight_of
from compressors._plan import uniform
from compressors.projectors.uniform import Uniform
from compressors.weights._form import code_of, latent_of
from hwsim.workload import Primitive
from tests.methods.conftest import accuracy
from tests.methods.integer_reference import ifmap_integers, quantiser_of, sums, weight_integers

SMALL = {"fit": {"epochs": 0.1}}
PATHS = ["0", "3", "6", "9"]
DIRECT = ("hwang_sung_ternary", {"fit": {"epochs": 0}})


def test_steps_are_the_best() -> None:
    """Of all splits of the sorted magnitudes into zero and one, the one of least squared error."""
    weight = torch.randn(1, 600, generator=torch.Generator().manual_seed(0)).double()
    found = Uniform(bits=2, rule="mse", narrow=True).project(weight).decode()
    magnitudes = weight.abs().flatten().sort(descending=True).values
    kept = magnitudes.cumsum(0) ** 2 / torch.arange(1, 601)
    least = float(magnitudes.square().sum() - kept.max())
    assert float((found - weight).square().sum()) == pytest.approx(least, rel=1e-3)


def test_weights_are_ternary_and_signals_have_eight_levels(cnn: nn.Module, training: Data) -> None:
    found = compress(cnn, uniform(DIRECT), data=training.first(256))
    for path in PATHS:
        layer = found.get_submodule(path)
        assert set(np.unique(weight_integers(layer))) == {-1, 0, 1}
        code = code_of(layer)
        assert (code.word_bits, code.primitive) == (2, Primitive.ADD)
        assert quantiser_of(layer).bits == (8 if path == "0" else 3)
    layer = found.get_submodule("6")
    ifmap = torch.rand(2, 16, 9, 7, generator=torch.Generator().manual_seed(0)) * 5
    assert len(np.unique(ifmap_integers(layer, ifmap))) == 8


@pytest.mark.parametrize("path", PATHS)
def test_whole_numbers_are_exact(cnn: nn.Module, training: Data, path: str) -> None:
    layer = compress(cnn, uniform(DIRECT), data=training.first(64)).get_submodule(path)
    size = (3, 144) if path == "9" else (3, weight_of(layer).shape[1], 11, 8)
    ifmap = torch.randn(size, generator=torch.Generator().manual_seed(1)) * 2
    layer.register_parameter("bias", None)
    total = sums(layer, ifmap_integers(layer, ifmap), weight_integers(layer))
    scale = float(code_of(layer).parts.tables["scales"])
    scale *= float(quantiser_of(layer).get_buffer("step"))
    with torch.no_grad():
        assert np.array_equal(np.rint(layer(ifmap).numpy() / scale), total)


def test_updates_gather_in_float(cnn: nn.Module, training: Data) -> None:
    method = ("hwang_sung_ternary", {"fit": {"epochs": 0.05, "learning_rate": 1e-5}})
    found = compress(cnn, uniform(method), data=training.first(512)).get_submodule("6")
    before = weight_of(cnn.get_submodule("6")).detach()
    direct = compress(cnn, uniform(DIRECT), data=training.first(512)).get_submodule("6")
    assert not torch.equal(latent_of(found).detach(), before)
    assert torch.equal(weight_of(found), weight_of(direct))


@pytest.mark.slow
def test_retraining_closes_the_gap(cnn: nn.Module, training: Data, testing: Data) -> None:
    before = accuracy(cnn, testing)
    direct = accuracy(compress(cnn, uniform(DIRECT), data=training), testing)
    fit = {"epochs": 6, "learning_rate": 0.05, "weight_decay": 0}
    retrained = compress(cnn, uniform(("hwang_sung_ternary", {"fit": fit})), data=training)
    found = accuracy(retrained, testing)
    assert direct < before - 0.04
    assert found > before - 0.01
