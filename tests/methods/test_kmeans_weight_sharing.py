"""Han, Mao and Dally, "Deep Compression", ICLR 2016, Sec. 3."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from compressors._compress import compress
from compressors._data import Data
from compressors._layers import weight_of
from compressors._plan import uniform
from compressors.projectors.kmeans import KMeans, centroids, starts
from compressors.weights._form import code_of, latent_of
from tests.methods.conftest import accuracy


def test_rate_is_the_published_one(mlp: nn.Module) -> None:
    """r = n b / (n log2 k + k b), for n weights of b = 32 bits and k values."""
    compressed = compress(mlp, uniform(("kmeans_weight_sharing", {"bits": 4})))
    layer = compressed.get_submodule("1")
    n = weight_of(layer).numel()
    assert code_of(layer).bits() == n * 4 + 16 * 32
    assert len(torch.unique(weight_of(layer))) <= 16


def test_centroids_train_by_the_sum_of_their_weights_gradients(mlp: nn.Module) -> None:
    compressed = compress(mlp, uniform("kmeans_weight_sharing"))
    layer = compressed.get_submodule("5")
    weight = weight_of(layer)
    weight.retain_grad()
    torch.autograd.backward(functional.linear(torch.randn(4, 50), weight).square().sum())
    assert weight.grad is not None
    code = code_of(layer)
    found = latent_of(layer).grad
    assert found is not None
    for entry, value in enumerate(latent_of(layer)):
        members = code.decode() == value
        assert torch.allclose(found[entry], weight.grad[members].sum(), atol=1e-5)


def test_no_other_centroids_are_better_nearby() -> None:
    """A fixed point of Lloyd's iteration: each value's nearest, each centroid its members' mean."""
    weights = torch.randn(500, generator=torch.Generator().manual_seed(0))
    code = KMeans(bits=3).project(weights)
    gaps = (weights[:, None] - code.table).abs()
    assert torch.equal(gaps.min(1).values, (weights - code.decode()).abs())
    for entry, value in enumerate(code.table):
        assert torch.isclose(weights[code.indices == entry].mean(), value, atol=1e-6)


def test_zeros_stay_zeros() -> None:
    weights = torch.randn(200, generator=torch.Generator().manual_seed(0))
    weights[::3] = 0
    code = KMeans(bits=2).project(weights)
    assert code.holds_zero
    assert torch.equal(code.decode() == 0, weights == 0)


@pytest.mark.parametrize("start", ["linear", "density", "random"])
def test_starts_are_the_published_ones(start: str) -> None:
    """Even steps, even steps of the distribution, and weights drawn at random (Fig. 6)."""
    weights = torch.randn(1000, generator=torch.Generator().manual_seed(0)).double()
    found = starts(weights, 8, start=start)  # type: ignore[arg-type]
    if start == "linear":
        assert torch.allclose(found.diff(), (weights.max() - weights.min()) / 7)
    elif start == "density":
        shares = (weights[:, None] < found).double().mean(0)
        assert torch.allclose(shares, (torch.arange(8) + 0.5).double() / 8, atol=1e-3)
    else:
        assert set(found.tolist()) < set(weights.tolist())
        assert not torch.equal(found, starts(weights, 8, start="random", seed=1))
    centres = centroids(weights, 8, start=found)
    assert len(centres) == 8


def test_training_helps_where_values_are_few(mlp: nn.Module, training: Data, testing: Data) -> None:
    found = {}
    for start in ("linear", "density"):
        plan = uniform(("kmeans_weight_sharing", {"bits": 2, "start": start}))
        found[start] = accuracy(compress(mlp, plan, data=training.first(3000)), testing)
    untrained = accuracy(compress(mlp, uniform(("kmeans_weight_sharing", {"bits": 2}))), testing)
    print(f"four values: {untrained:.3f} untrained, trained", found)
    assert found["linear"] > untrained + 0.01


def test_four_bits_lose_less_than_a_point(mlp: nn.Module, testing: Data) -> None:
    compressed = compress(mlp, uniform("kmeans_weight_sharing"))
    assert accuracy(compressed, testing) > accuracy(mlp, testing) - 0.01
