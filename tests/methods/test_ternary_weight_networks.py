"""Li, Zhang and Liu, "Ternary Weight Networks", arXiv:1605.04711."""

import numpy as np
import pytest
import torch
from torch import nn

from compressors._compress import compress
from compressors._data import Data
from compressors._layers import weight_of
from compressors._plan import uniform
from compressors.projectors.ternary import Ternary
from compressors.weights._form import code_of, latent_of
from hwsim.workload import Primitive
from tests.methods.conftest import accuracy


def least_error(weights: np.ndarray) -> float:
    """The least squared error of any ternary approximation: the best count of survivors."""
    falling = np.sort(np.abs(weights))[::-1]
    gains = np.cumsum(falling) ** 2 / np.arange(1, len(falling) + 1)
    return float((weights**2).sum() - gains.max())


@pytest.mark.parametrize(("laplace", "margin"), [(False, 1.01), (True, 1.1)])
def test_threshold_is_nearly_the_best(laplace: bool, margin: float) -> None:
    """Within 1 % of the least error for a Gaussian, within 10 % for a Laplacian."""
    draw = np.random.default_rng(0)
    weights = draw.laplace(size=20000) if laplace else draw.normal(size=20000)
    found = Ternary().project(torch.from_numpy(weights)[None]).decode().numpy()[0]
    assert least_error(weights) <= ((found - weights) ** 2).sum() <= margin * least_error(weights)


def test_threshold_and_scale_are_the_published_ones() -> None:
    weights = torch.randn(6, 5, 3, 2, generator=torch.Generator().manual_seed(0))
    code = Ternary(scope="filter").project(weights)
    for k, own in enumerate(weights.double()):
        kept = own.abs() > 0.7 * own.abs().mean()
        wanted = own[kept].abs().mean() * own.sign() * kept
        assert torch.allclose(code.decode()[k].double(), wanted, rtol=1e-6)


@pytest.mark.parametrize("scope", ["layer", "filter", "group"])
def test_projects_onto_itself(scope: str) -> None:
    weights = torch.randn(6, 5, 3, 2, generator=torch.Generator().manual_seed(0))
    projector = Ternary.model_validate({"scope": scope, "group": 2})
    once = projector.project(weights).decode()
    assert torch.equal(projector.project(once).decode(), once)


def test_trains_to_within_three_points(cnn: nn.Module, training: Data, testing: Data) -> None:
    plan = uniform(("ternary_weight_networks", {"fit": {"epochs": 3, "learning_rate": 0.05}}))
    compressed = compress(cnn, plan, data=training)
    for path in ("0", "3", "6", "9"):
        layer = compressed.get_submodule(path)
        code = code_of(layer)
        assert (code.primitive, code.word_bits) == (Primitive.ADD, 2)
        assert code.bits() == 2 * weight_of(layer).numel() + 32
        assert len(torch.unique(weight_of(layer))) == 3
        assert not torch.equal(latent_of(layer), weight_of(cnn.get_submodule(path)))
    print(f"twn: {accuracy(cnn, testing):.3f} -> {accuracy(compressed, testing):.3f}")
    assert accuracy(compressed, testing) > accuracy(cnn, testing) - 0.03


def test_pruned_weights_stay_zero(mlp: nn.Module, training: Data) -> None:
    weight_of(mlp.get_submodule("1")).data[:, ::2] = 0
    plan = uniform("relative_index_sparse_coding", "ternary_weight_networks")
    compressed = compress(mlp, plan, data=training.first(256))
    weight = weight_of(compressed.get_submodule("1"))
    assert not weight[:, ::2].any()
    assert weight[:, 1::2].any()
