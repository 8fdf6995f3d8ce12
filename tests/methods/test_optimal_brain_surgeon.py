"""Hassibi and Stork, NIPS 1992."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from compressors._compress import compress
from compressors._data import Data
from compressors._layers import weight_of, weighted_layers
from compressors._plan import uniform
from compressors.pruning.inverse_hessian import delete, inverse_hessian
from compressors.weights.masked import mask_
from hwsim.errors import InputError
from tests.methods.conftest import accuracy, cross_entropy


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_recursion_inverts_the_hessian() -> None:
    """Row by row, as published, and many rows at a time."""
    rows, alpha = random(2, 30, 6), 1e-4
    hessian = alpha * torch.eye(6, dtype=torch.float64) + rows.mT @ rows / 30
    inverse = torch.eye(6, dtype=torch.float64) / alpha
    for row in rows[1]:
        moved = inverse @ row
        inverse = inverse - torch.outer(moved, moved) / (30 + row @ moved)
    for at_once in (1, 7, 64):
        found = inverse_hessian(rows, count=30, alpha=alpha, at_once=at_once)
        assert torch.allclose(found @ hessian, torch.eye(6, dtype=torch.float64), atol=1e-8)
        assert torch.allclose(found[1], inverse, rtol=1e-6)


def test_deletion_is_the_constrained_least_squares_solution() -> None:
    """Of y = X w: fit the weights that are left anew, by numpy, and compare; one and several."""
    rows, weights = random(1, 50, 7), random(1, 7, seed=1)
    inverse = inverse_hessian(rows, count=50, alpha=1e-8)
    outputs = rows[0] @ weights[0]
    for count in range(1, 6):
        found, alive, costs = delete(weights, inverse, torch.tensor([count]))
        assert int(alive.sum()) == 7 - count
        kept = alive[0].numpy()
        exact = np.linalg.lstsq(rows[0].numpy()[:, kept], outputs.numpy(), rcond=None)[0]
        assert np.allclose(found[0].numpy()[kept], exact, atol=1e-6)
        error = (rows[0] @ found[0] - outputs).square().mean() / 2
        assert torch.isclose(error, costs.sum(), atol=1e-8)


@pytest.mark.parametrize("seed", range(3))
def test_each_deletion_is_the_cheapest_of_all(seed: int) -> None:
    """Of y = X w: every weight that is left is taken out in turn and the others fitted by numpy."""
    rows = random(1, 40, 7, seed=seed) @ random(7, 7, seed=seed + 10)
    weights = random(1, 7, seed=seed + 20)
    inputs, outputs = rows[0].numpy(), (rows[0] @ weights[0]).numpy()
    inverse, left = inverse_hessian(rows, count=40, alpha=1e-9), set(range(7))

    def error(kept: set[int]) -> float:
        part = inputs[:, sorted(kept)]
        gap = part @ np.linalg.lstsq(part, outputs, rcond=None)[0] - outputs
        return float(np.square(gap).mean() / 2)

    reached = 0.0
    for count in range(1, 7):
        found = {error(left - {q}): q for q in left}
        left.remove(found[min(found)])
        _, alive, costs = delete(weights, inverse, torch.tensor([count]))
        assert {*alive[0].nonzero().flatten().tolist()} == left
        assert float(costs[0, -1]) == pytest.approx(min(found) - reached, rel=1e-4)
        reached = min(found)


def by_the_paper(weights: NDArray[Any], hessian: NDArray[Any], count: int) -> NDArray[Any]:
    """Eq. 5, `count` times, with the Hessian of what is left inverted anew each time."""
    found, left = weights.copy(), np.arange(len(weights))
    for _ in range(count):
        inverse = np.linalg.inv(hessian[np.ix_(left, left)])
        q = (found[left] ** 2 / (2 * inverse.diagonal())).argmin()
        found[left] -= found[left[q]] / inverse[q, q] * inverse[:, q]
        found[left[q]], left = 0, np.delete(left, q)
    return found


@pytest.mark.parametrize("block", ["filter", "layer"])
def test_a_softmax_layer_is_cut_by_the_paper(block: str) -> None:
    """Autograd's whole Hessian of the mean loss, and alpha on its diagonal; or each filter's part,
    the cheapest deletion of all filters first.
    """
    torch.manual_seed(1)
    layer, images, alpha = nn.Linear(5, 3), torch.randn(70, 5), 1e-2
    labels = torch.zeros(70, dtype=torch.int64)

    def loss(weight: Tensor) -> Tensor:
        logits = functional.linear(images, weight.reshape(3, 5), layer.bias.detach())
        return functional.cross_entropy(logits, labels)

    weights = layer.weight.detach().flatten()
    full = torch.autograd.functional.hessian(loss, weights).double().numpy()  # type: ignore[no-untyped-call]  # torch
    if block == "filter":
        full = full * np.kron(np.eye(3), np.ones((5, 5)))
    wanted = by_the_paper(weights.double().numpy(), full + alpha * np.eye(15), 8)
    settings = {"sparsity": 8 / 15, "block": block, "alpha": alpha}
    plan = uniform(("optimal_brain_surgeon", settings))
    found = weight_of(
        compress(nn.Sequential(layer), plan, data=Data(images=images)).get_submodule("0")
    )
    assert int((found == 0).sum()) == 8
    assert np.allclose(found.detach().flatten().numpy(), wanted, atol=1e-4)


def test_surgery_costs_least_then_damage_then_magnitude() -> None:
    """Loss after one deletion, on correlated inputs, each choosing its own weight."""
    rows, weights = random(1, 60, 8) @ random(8, 8, seed=2), random(1, 8, seed=3)
    hessian = rows[0].T @ rows[0] / 60
    moved, _, _ = delete(weights, inverse_hessian(rows, count=60, alpha=1e-8), torch.tensor([1]))

    def loss(found: Tensor) -> float:
        error = found - weights[0]
        return float(error @ hessian @ error / 2)

    def without(q: Tensor) -> Tensor:
        return weights[0].index_fill(0, q, 0.0)

    damage = (hessian.diagonal() * weights[0].square()).argmin()
    losses = [loss(moved[0]), loss(without(damage)), loss(without(weights[0].abs().argmin()))]
    assert losses == sorted(losses)
    assert losses[0] < losses[1]


def test_blocks_end_when_they_have_lost_enough() -> None:
    rows, weights = random(3, 40, 5), random(3, 5, seed=1)
    inverse = inverse_hessian(rows, count=40, alpha=1e-6)
    found, alive, costs = delete(weights, inverse, torch.tensor([0, 2, 4]))
    assert alive.sum(1).tolist() == [5, 3, 1]
    assert torch.equal(found[0], weights[0])
    assert torch.equal(costs > 0, torch.tensor([[0, 0, 0, 0], [1, 1, 0, 0], [1] * 4]).bool())


@pytest.mark.parametrize("block", ["filter", "layer"])
def test_keeps_an_earlier_mask_and_the_sparsity(block: str) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))
    mask_(model[0], torch.arange(30).reshape(5, 6) % 4 > 0)
    plan = uniform(("optimal_brain_surgeon", {"sparsity": 0.5, "block": block}))
    found = compress(model, plan, data=Data(images=torch.randn(50, 6)))
    weights = [weight_of(layer) for layer in weighted_layers(found).values()]
    assert sum(int(weight.count_nonzero()) for weight in weights) == 23
    assert not weights[0].flatten()[::4].any()


def test_names_a_layer_that_is_too_large(mlp: nn.Module, training: Data) -> None:
    plan = uniform(("optimal_brain_surgeon", {"block": "layer"}))
    with pytest.raises(InputError, match="'1': optimal_brain_surgeon: block = 'layer'"):
        compress(mlp, plan, data=training)


def test_convolutions_lose_half_their_weights_without_training(
    cnns: list[nn.Module], training: Data, testing: Data
) -> None:
    """And less loss than Optimal Brain Damage, which moves nothing, causes; less than a point in
    the mean of three networks.
    """
    once = {"sparsity": 0.5, "rounds": 1, "fit": {"epochs": 0}}
    lost = 0.0
    for one in cnns:
        surgeon = uniform(("optimal_brain_surgeon", {"sparsity": 0.5, "images": 64}))
        cut = compress(one, surgeon, data=training)
        damaged = compress(one, uniform(("optimal_brain_damage", once)), data=training)
        lost += (accuracy(one, testing) - accuracy(cut, testing)) / len(cnns)
        assert cross_entropy(cut, testing) < cross_entropy(damaged, testing)
    assert lost < 0.01
