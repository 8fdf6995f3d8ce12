"""Yin et al., "BinaryRelax", SIAM J. Imaging Sciences 2018."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from compressors._compress import compress
from compressors._data import Data
from compressors._layers import weight_of
from compressors._plan import uniform
from compressors.projectors.signs import Signs
from compressors.weights._form import latent_of, set_form_
from compressors.weights.relaxed import Relaxed
from tests.methods.conftest import accuracy


@pytest.mark.parametrize("strength", [0.0, 0.5, 3.0, 1e9])
def test_weights_are_the_proximal_map(strength: float) -> None:
    """They minimise |x - y|^2 / 2 + strength / 2 dist(x, set)^2, here by a search of each."""
    layer = nn.Linear(5, 3)
    latent = weight_of(layer).detach().clone()
    set_form_(layer, Relaxed(Signs(scope="layer"), strength))
    nearest = Signs(scope="layer").project(latent).decode()
    if strength == 0:
        assert torch.equal(layer.weight, latent)
    elif strength > 1e6:
        assert torch.allclose(layer.weight, nearest, atol=1e-6)
    between = torch.linspace(0, 1, 2001)[:, None, None]
    tried = latent + between * (nearest - latent)
    costs = (tried - latent).square() + strength * (tried - nearest).square()
    best = tried.gather(0, costs.argmin(0, keepdim=True))[0]
    assert torch.allclose(layer.weight, best, atol=1e-3)


def test_gradient_is_taken_at_the_relaxed_weight() -> None:
    torch.manual_seed(0)
    layer = nn.Linear(5, 3)
    set_form_(layer, Relaxed(Signs(), 2.0))
    images = torch.randn(4, 5)
    torch.autograd.backward(layer(images).square().sum())
    weight = layer.weight.detach().requires_grad_()
    torch.autograd.backward(functional.linear(images, weight, layer.bias).square().sum())
    assert weight.grad is not None
    assert torch.allclose(latent_of(layer).grad, weight.grad)  # type: ignore[arg-type]


@pytest.mark.parametrize(("levels", "count"), [("binary", 2), ("ternary", 3)])
def test_weights_end_in_the_set(
    levels: str, count: int, cnn: nn.Module, training: Data, testing: Data
) -> None:
    plan = uniform(("binaryrelax", {"levels": levels}))
    compressed = compress(cnn, plan, data=training.first(3000))
    for path in ("0", "3", "6", "9"):
        assert len(torch.unique(weight_of(compressed.get_submodule(path)))) == count
    found = accuracy(compressed, testing)
    print(f"binaryrelax, {levels}: {accuracy(cnn, testing):.3f} -> {found:.3f}")
    assert found > accuracy(cnn, testing) - (0.1 if levels == "binary" else 0.04)
