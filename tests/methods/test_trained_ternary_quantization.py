"""Zhu, Han, Mao and Dally, "Trained Ternary Quantization", ICLR 2017, Sec. 3."""

import math

import torch
from torch import nn

from compressors._compress import compress
from compressors._data import Data
from compressors._layers import weight_of
from compressors._plan import uniform
from compressors.weights._form import code_of, forms, latent_of, set_form_
from compressors.weights.trained_ternary import TrainedTernary
from hwsim.workload import Primitive
from tests.methods.conftest import accuracy


def test_gradients_are_the_published_ones() -> None:
    """Eq. 7 and 8, by sums over what each scale stands for; W_n enters with its sign."""
    torch.manual_seed(0)
    layer = nn.Conv2d(3, 4, (3, 2))
    set_form_(layer, TrainedTernary(0.3))
    weight = layer.weight
    weight.retain_grad()
    torch.autograd.backward(nn.functional.conv2d(torch.randn(2, 3, 5, 6), weight).square().sum())
    form, latent, grad = forms(layer)[0], latent_of(layer), weight.grad
    assert isinstance(form, TrainedTernary)
    assert grad is not None
    limit = 0.3 * latent.abs().max()
    up, down = latent > limit, latent < -limit
    wanted = torch.stack([grad[up].sum(), -grad[down].sum()])
    assert form.roots.grad is not None
    assert torch.allclose(form.roots.grad * math.sqrt(weight.numel()), wanted, rtol=1e-5)
    gate = torch.ones_like(grad)
    gate[up], gate[down] = form.scales[0].item(), form.scales[1].item()
    assert latent.grad is not None
    assert torch.allclose(latent.grad, gate * grad)


def test_scales_of_the_signs_part(cnn: nn.Module, training: Data, testing: Data) -> None:
    plan = uniform(("trained_ternary_quantization", {"fit": {"epochs": 3, "learning_rate": 0.05}}))
    compressed = compress(cnn, plan, data=training)
    for path in ("0", "3", "6", "9"):
        layer = compressed.get_submodule(path)
        form, code = forms(layer)[0], code_of(layer)
        assert isinstance(form, TrainedTernary)
        positive, negative = form.scales.tolist()
        assert positive != negative
        assert set(weight_of(layer).flatten().tolist()) <= {positive, 0.0, -negative}
        assert code.bits() == 2 * weight_of(layer).numel() + 2 * 32
        assert code.primitive is Primitive.ADD
    print(f"ttq: {accuracy(cnn, testing):.3f} -> {accuracy(compressed, testing):.3f}")
    assert accuracy(compressed, testing) > accuracy(cnn, testing) - 0.04
