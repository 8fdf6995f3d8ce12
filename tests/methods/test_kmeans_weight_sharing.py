"""Han, Mao and Dally, "Deep Compression", ICLR 2016, Sec. 3."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.cluster.vq import kmeans2
from torch import nn
from torch.nn import functional

from compressors._compress import compress
from compressors._data import Data
from compressors._layers import weight_of
from compressors._plan import uniform
from compressors.projectors.kmeans import KMeans, centroids, starts
from compressors.weights._form import code_of, latent_of
from compressors.weights.masked import mask_
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


@pytest.mark.parametrize("bits", [1, 3])
def test_centroids_are_those_of_scipy(bits: int) -> None:
    """Lloyd's iteration from 2^bits even steps between the least and the largest."""
    weights = torch.randn(30, 40, generator=torch.Generator().manual_seed(0))
    numbers = weights.double().numpy().reshape(-1, 1)
    begin = np.linspace(numbers.min(), numbers.max(), 2**bits)[:, None]
    table, indices = kmeans2(numbers, begin, iter=300, minit="matrix", missing="raise")
    code = KMeans(bits=bits).project(weights)
    assert np.allclose(code.table.numpy(), table[:, 0], atol=1e-5)
    assert np.array_equal(code.indices.flatten().numpy(), indices)


@given(st.lists(st.just(0) | st.integers(-30, 30), min_size=1, max_size=12), st.integers(1, 3))
def test_error_is_never_more_than_that_of_even_steps(numbers: list[int], bits: int) -> None:
    """From where the iteration begins; none where the values are no more than the entries."""
    weights = torch.tensor(numbers, dtype=torch.float32) / 8
    code = KMeans(bits=bits).project(weights)
    error = float((code.decode() - weights).square().sum())
    values = weights[weights != 0].numpy()
    entries = 2**bits - (len(values) < len(numbers))
    assert len(code.table) <= 2**bits
    if len(set(values)) <= entries:
        assert error < 1e-10
    else:
        steps = np.linspace(values.min(), values.max(), entries)
        assert error <= np.square(values[:, None] - steps).min(1).sum() + 1e-5


def test_training_moves_the_table_alone() -> None:
    """Sec. 3.3: weights keep their entries, and what was pruned stays so and moves none of them."""
    torch.manual_seed(0)
    model, images = nn.Sequential(nn.Linear(12, 10)), torch.randn(256, 12)
    mask_(model[0], torch.rand(10, 12) < 0.5)
    data = Data(images=images, labels=images[:, :10].argmax(1))
    plan = uniform(("kmeans_weight_sharing", {"bits": 3}))
    before, after = (compress(model, plan, data=one).get_submodule("0") for one in (None, data))
    was, found = weight_of(before).detach(), weight_of(after).detach()
    assert torch.equal(found == 0, weight_of(model[0]) == 0)
    for value in set(was.flatten().tolist()):
        members = set(found[was == value].tolist())
        assert len(members) == 1
        assert members != {value} or not value


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
