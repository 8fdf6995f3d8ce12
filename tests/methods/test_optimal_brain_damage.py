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
from compressors.pruning.targets import targets
from tests.methods.conftest import accuracy, cross_entropy

SMALL = {"fit": {"epochs": 1}, "rounds": 2}


def hessian_diagonal(model: nn.Module, layer: nn.Module, images: Tensor) -> Tensor:
    """Of the mean cross entropy, by autograd; it does not depend on labels in the last layer."""
    weight = layer.get_parameter("weight")

    def loss(found: Tensor) -> Tensor:
        logits = torch.func.functional_call(model, {"2.weight": found}, (images,))
        return functional.cross_entropy(logits, torch.zeros(len(images), dtype=torch.int64))

    whole = torch.autograd.functional.hessian(loss, weight.detach())
    assert isinstance(whole, Tensor)
    return whole.reshape(weight.numel(), -1).diagonal().reshape(weight.shape)


def test_curvature_is_the_hessians_diagonal() -> None:
    """Exact where the logits are linear in the weights."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 4), nn.ReLU(inplace=True), nn.Linear(4, 3))
    images = torch.randn(40, 5)
    (found,) = diagonal(model, targets(model, ["2"]), images)
    assert torch.allclose(found, hessian_diagonal(model, model[2], images), atol=1e-6)


def test_factors_make_the_hessian_of_the_loss() -> None:
    logits = torch.randn(1, 4, generator=torch.Generator().manual_seed(0))
    found = torch.stack([v[0] for v in softmax_factors(logits)])
    wanted = torch.autograd.functional.hessian(
        lambda z: functional.cross_entropy(z, torch.tensor([1])), logits
    )
    assert isinstance(wanted, Tensor)
    assert torch.allclose(found.T @ found, wanted[0, :, 0], atol=1e-6)


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
    model = nn.Sequential(nn.Linear(6, 2, bias=False))
    (h,) = diagonal(model, targets(model, ["0"]), images, squared_factors)
    weight = model[0].weight.detach().clone()
    wanted = model(images).detach()
    for k in range(12):
        model[0].weight.data = weight.clone()
        model[0].weight.data.view(-1)[k] = 0
        rise = (model(images) - wanted).square().sum().detach() / 2 / 6
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
