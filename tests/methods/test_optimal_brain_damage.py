"""LeCun, Denker and Solla, NIPS 1989."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from compressors._compress import compress
from compressors._data import Data
from compressors._plan import uniform
from compressors.pruning.probe import softmax_factors, squared_factors
from compressors.pruning.second_order import diagonal
from compressors.pruning.targets import Target, targets
from tests.methods.conftest import accuracy, cross_entropy

SMALL = {"fit": {"epochs": 1}, "rounds": 2}


def test_curvature_is_the_hessians_diagonal() -> None:
    """Of the mean cross entropy by autograd: exact where logits are linear in the weights, and
    the same for all labels.
    """
    torch.manual_seed(0)
    last, images = nn.Linear(4, 3), torch.randn(40, 5)
    before = nn.Sequential(nn.Linear(5, 4), nn.ReLU(inplace=True))
    (found,) = diagonal(nn.Sequential(before, last), [Target("1", last)], images)
    inputs, labels = before(images).detach(), torch.zeros(40, dtype=torch.int64)

    def slope(weight: Tensor) -> Tensor:
        loss = functional.cross_entropy(functional.linear(inputs, weight, last.bias), labels)
        return torch.autograd.grad(loss, weight, create_graph=True)[0]

    weight = last.weight.detach().requires_grad_()
    for k, entry in enumerate(slope(weight).flatten()):
        row = torch.autograd.grad(entry, weight, retain_graph=True)[0]
        assert torch.isclose(found.flatten()[k], row.flatten()[k], atol=1e-6)


def test_factors_make_the_hessian_of_the_loss() -> None:
    """diag(p) - p p^T."""
    logits = torch.randn(1, 4, generator=torch.Generator().manual_seed(0))
    found = torch.stack([v[0] for v in softmax_factors(logits)])
    p = logits.softmax(1)[0]
    assert torch.allclose(found.T @ found, p.diag() - torch.outer(p, p), atol=1e-6)


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(2, 4, (3, 2), stride=(1, 2), padding=1, groups=2),
        nn.Conv2d(2, 3, 3, padding="same", dilation=2, padding_mode="circular"),
        nn.Conv2d(2, 2, 1),
    ],
)
def test_each_image_counts_for_itself(layer: nn.Conv2d) -> None:
    """Squares of the gradients of one image at a time."""
    torch.manual_seed(0)
    model, images = nn.Sequential(layer, nn.Tanh(), nn.Flatten()), torch.randn(3, 2, 5, 6)
    (found,) = diagonal(model, targets(model, ["0"]), images, squared_factors)
    wanted = torch.zeros_like(layer.weight)
    for image in images:
        for output in model(image[None])[0]:
            (slope,) = torch.autograd.grad(output, layer.weight, retain_graph=True)
            wanted += slope.square() / 3
    assert torch.allclose(found, wanted, atol=1e-4)


def test_prediction_is_exact_for_a_quadratic_loss_with_diagonal_hessian() -> None:
    """Orthogonal inputs: the loss rises by h_kk w_k^2 / 2 where the outputs were the targets."""
    images = torch.linalg.qr(torch.randn(6, 6, generator=torch.Generator().manual_seed(0)))[0]
    layer = nn.Linear(6, 2, bias=False)
    (h,) = diagonal(nn.Sequential(layer), [Target("0", layer)], images, squared_factors)
    weight = layer.weight.detach().clone()
    wanted = images @ weight.T
    for k in range(12):
        rest = weight.flatten().index_fill(0, torch.tensor(k), 0.0).reshape(2, 6)
        rise = (images @ rest.T - wanted).square().sum() / 2 / 6
        assert torch.isclose(rise, (h * weight.square() / 2).flatten()[k], atol=1e-6)


def test_hurts_less_than_magnitudes_before_retraining(cnn: nn.Module, training: Data) -> None:
    """At equal sparsity, both judged over all layers at once."""
    once = {"sparsity": 0.5, "rounds": 1, "allocation": "global", "fit": {"epochs": 0}}
    damaged, pruned = (
        compress(cnn, uniform((method, once)), data=training)
        for method in ("optimal_brain_damage", "magnitude_pruning")
    )
    assert cross_entropy(damaged, training) < cross_entropy(pruned, training)


def test_a_quarter_is_enough(mlp: nn.Module, training: Data, testing: Data) -> None:
    """The paper's network lost three quarters of its parameters at no loss."""
    settings = {"sparsity": 0.75, "fit": {"epochs": 1, "learning_rate": 0.05}}
    damaged = compress(mlp, uniform(("optimal_brain_damage", settings)), data=training)
    assert accuracy(damaged, testing) > accuracy(mlp, testing) - 0.01
