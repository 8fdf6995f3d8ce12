"""Gong, Liu, Yang and Bourdev, arXiv:1412.6115."""

import pytest
import torch
from torch import Tensor, nn

from compressors._compress import compress
from compressors._data import Data
from compressors._layers import weight_of
from compressors._plan import uniform
from compressors.vector_quantization_gong import Config, quantised
from compressors.weights._form import code_of
from hwsim.errors import InputError
from tests.methods.conftest import accuracy


def error(weight: Tensor, **settings: object) -> float:
    code = quantised(weight, Config.model_validate(settings))
    return float((code.decode() - weight).square().sum())


def indices_bits(weight: Tensor, **settings: object) -> int:
    code = quantised(weight, Config.model_validate(settings))
    return sum(stream.bits for stream in code.parts.streams.values())


def test_runs_of_one_channel_are_scalars() -> None:
    """One column alone: its product code clusters numbers, as well as scalar k-means does."""
    weight = torch.randn(200, 1, generator=torch.Generator().manual_seed(0))
    vectors = error(weight, quantiser="product", length=1, bits=3)
    scalars = error(weight, quantiser="kmeans", bits=3)
    assert vectors < 1.1 * scalars


def test_order_of_errors(mlp: nn.Module) -> None:
    """At a bit a weight for all: signs, then two values, then vectors of four channels.

    A trained layer of 100 filters is too small for 2^4 vectors a run to count; the codebooks, as
    in the paper, are left out of the comparison.
    """
    weight = weight_of(mlp.get_submodule("1")).detach()
    settings: list[dict[str, object]] = [
        {"quantiser": "binary"},
        {"quantiser": "kmeans", "bits": 1},
        {"quantiser": "product", "length": 4, "bits": 4},
    ]
    assert [indices_bits(weight, **one) for one in settings] == [weight.numel()] * 3
    errors = [error(weight, **one) for one in settings]
    print("squared errors at a bit a weight:", *(f"{one:.2f}" for one in errors))
    assert errors == sorted(errors, reverse=True)


def test_residuals_fall_step_by_step(mlp: nn.Module) -> None:
    weight = weight_of(mlp.get_submodule("1")).detach()
    errors = [error(weight, quantiser="residual", bits=4, steps=steps) for steps in (1, 2, 3)]
    assert errors[0] > errors[1] > errors[2]
    assert errors[0] == error(weight, quantiser="product", bits=4)


def test_product_quantisation_loses_little(mlp: nn.Module, testing: Data) -> None:
    settings = {"length": 2, "bits": 5}
    compressed = compress(mlp, uniform(("vector_quantization_gong", settings)))
    bits = code_of(compressed.get_submodule("1")).bits()
    found = accuracy(compressed, testing)
    weights = weight_of(mlp.get_submodule("1")).numel()
    print(f"gong: {accuracy(mlp, testing):.3f} -> {found:.3f}, {bits / weights:.1f} bits a weight")
    assert found > accuracy(mlp, testing) - 0.01


def test_takes_linear_layers(cnn: nn.Module) -> None:
    with pytest.raises(InputError, match="takes Linear"):
        compress(cnn, uniform("vector_quantization_gong"))
