"""Chen et al., "Compressing Neural Networks with the Hashing Trick", ICML 2015."""

import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.nn import functional

from compressors._compress import compress
from compressors._data import Data
from compressors._fit import Fit, fit
from compressors._layers import weight_of
from compressors._plan import uniform
from compressors.codes.hashed import Hashed, hashes, mixed
from compressors.weights._form import code_of, latent_of, set_form_
from compressors.weights.hashed import HashedTable
from tests.methods.conftest import accuracy


def test_hash_is_that_of_murmurhash() -> None:
    """The finaliser, in Python's own integers."""
    for key in (0, 1, 2, 12345, 2**32 - 1, 2**40 + 7):
        wanted = key & 0xFFFFFFFF
        for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, 1)):
            wanted = (wanted ^ (wanted >> shift)) * factor % 2**32
        assert int(mixed(torch.tensor(key))) == wanted


def test_hash_is_the_same_in_another_process() -> None:
    script = "from compressors.codes.hashed import hashes; print(hashes(50, 7, 3, 2))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == str(hashes(50, 7, 3, 2))


def test_buckets_and_signs_are_even_and_independent() -> None:
    """Chi-squared within 5 standard deviations of its mean."""
    buckets, signs = hashes(64000, 64, 0, 2)
    for fetch in range(2):
        counts = torch.bincount(buckets[:, fetch], minlength=64).double()
        chi = float((counts - 1000).square().sum() / 1000)
        assert abs(chi - 63) < 5 * (2 * 63) ** 0.5
    assert abs(float(signs.mean())) < 5 / 128000**0.5
    assert abs(float((signs[:, 0] * signs[:, 1]).mean())) < 5 / 64000**0.5
    assert abs(float((buckets[:, 0] == buckets[:, 1]).double().mean()) - 1 / 64) < 0.003


def test_gradient_is_the_published_one() -> None:
    """Eq. 12: the sum over a bucket of the weights' gradients with their signs."""
    torch.manual_seed(0)
    layer = nn.Linear(12, 5)
    set_form_(layer, HashedTable((5, 12), 7, seed=1))
    weight = layer.weight
    weight.retain_grad()
    torch.autograd.backward(functional.linear(torch.randn(3, 12), weight).square().sum())
    assert weight.grad is not None
    buckets, signs = hashes(60, 7, 1, 1)
    wanted = torch.zeros(7)
    for place in range(60):
        wanted[buckets[place, 0]] += weight.grad.flatten()[place] * signs[place, 0]
    assert torch.allclose(latent_of(layer).grad, wanted, atol=1e-4)  # type: ignore[arg-type]


def test_starts_from_the_least_squares() -> None:
    layer = nn.Conv2d(4, 5, (3, 2))
    before = weight_of(layer).detach().clone()
    set_form_(layer, HashedTable(tuple(before.shape), 20, seed=0))
    buckets, signs = hashes(120, 20, 0, 1)
    design = torch.zeros(120, 20).scatter_(1, buckets, signs)
    wanted = torch.linalg.lstsq(design, before.flatten()).solution
    assert torch.allclose(latent_of(layer), wanted, atol=1e-5)


def test_stores_the_values_alone(mlp: nn.Module, training: Data, testing: Data) -> None:
    compressed = compress(mlp, uniform("hashednets"), data=training)
    layer = compressed.get_submodule("1")
    code = code_of(layer)
    assert isinstance(code, Hashed)
    assert code.bits() == 32 * 3200
    assert len(torch.unique(weight_of(layer).abs())) <= 3200
    print(f"hashednets: {accuracy(mlp, testing):.3f} -> {accuracy(compressed, testing):.3f}")
    assert accuracy(compressed, testing) > accuracy(mlp, testing) - 0.02


@pytest.mark.slow
def test_better_than_a_small_network_of_equal_memory(training: Data, testing: Data) -> None:
    """Table 1: at 1/16 of the weights, against as many weights stored."""
    assert training.labels is not None
    settings = Fit(epochs=10, learning_rate=0.05)
    torch.manual_seed(0)
    wide = nn.Sequential(nn.Flatten(), nn.Linear(256, 400), nn.ReLU(), nn.Linear(400, 10))
    small = nn.Sequential(nn.Flatten(), nn.Linear(256, 25), nn.ReLU(), nn.Linear(25, 10))
    fit(small, training.images, training.labels, settings)
    plan = uniform(("hashednets", {"share": 1 / 16, "fit": settings.model_dump()}))
    hashed = compress(wide, plan, data=training)
    found = accuracy(hashed, testing), accuracy(small, testing)
    print("hashed, small:", *found)
    assert found[0] > found[1]


@pytest.mark.parametrize("method", ["hashednets", "functional_hashing"])
@pytest.mark.parametrize("epochs", [0, 0.01])
def test_norms_behind_hashed_layers_start_anew(
    cnn: nn.Module, training: Data, method: str, epochs: float
) -> None:
    """Where something trains; not behind the layer that is kept. The rate moves nothing."""
    settings = {"fit": {"epochs": epochs, "learning_rate": 1e-12}}
    found = compress(cnn, uniform((method, settings), keep=["0"]), data=training)
    for path, restarts in (("1", False), ("4", epochs > 0)):
        old, new = (one.get_submodule(path).state_dict() for one in (cnn, found))
        fresh = {"weight": torch.ones_like(old["weight"]), "bias": torch.zeros_like(old["bias"])}
        for key, value in fresh.items():
            assert not torch.allclose(old[key], value, atol=1e-3)
            assert torch.allclose(new[key], value if restarts else old[key], atol=1e-6)
