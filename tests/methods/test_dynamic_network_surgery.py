"""Guo, Yao and Chen, NIPS 2016, arXiv:1608.04493."""

import pytest
import torch
from torch import Tensor, nn

from compressors._compress import compress
from compressors._data import Data
from compressors._fit import fit
from compressors._plan import uniform
from compressors.dynamic_network_surgery import Config
from compressors.pruning.surgery import Surgery
from compressors.pruning.targets import Target, density, targets
from compressors.weights._form import latent_of
from compressors.weights.masked import mask_
from tests.methods.conftest import accuracy

SMALL = {"fit": {"epochs": 1}}
RATE = {"learning_rate": 0.05}


def surgery(model: nn.Module, *, crate: float = 0.0, band: float = 0.2) -> Surgery:
    return Surgery(targets(model, ["0"]), crate=crate, band=band, decay=0.01, steps=10, seed=0)


def alive(layer: nn.Module) -> Tensor:
    return Target("", layer).alive


def gradient(layer: nn.Module) -> Tensor:
    found = latent_of(layer).grad
    assert found is not None
    return found


def test_masks_follow_the_two_thresholds() -> None:
    """Eq. 3, for magnitudes of mean 2: cut below 1.6, spliced from 2.4, as it was between."""
    layer = nn.Linear(4, 1)
    layer.weight.data = torch.tensor([[0.5, -1.5, 2.0, 4.0]])
    model = nn.Sequential(layer)
    with surgery(model) as operation:
        operation.operate()
        assert alive(layer).tolist() == [[False, False, True, True]]
        latent_of(layer).data = torch.tensor([[2.5, 2.0, -1.7, -1.5]])
        operation.operate()
        assert alive(layer).tolist() == [[True, False, True, False]]
    assert operation.spliced == 1
    assert layer.weight.tolist() == [[2.5, 0.0, pytest.approx(-1.7), 0.0]]


def test_gradients_reach_what_is_cut() -> None:
    """They are those of the masked weights: eq. 4."""
    torch.manual_seed(0)
    layer = nn.Linear(6, 3, bias=False)
    model, images = nn.Sequential(layer), torch.randn(5, 6)
    with surgery(model) as operation:
        operation.operate()
        torch.autograd.backward(model(images).square().sum())
        weight = layer.weight.detach()
        wanted = 2 * (images @ weight.T).T @ images
        assert not alive(layer).all()
        assert torch.allclose(gradient(layer), wanted, atol=1e-5)
    latent_of(layer).grad = None
    torch.autograd.backward(model(images).square().sum())
    assert torch.equal(gradient(layer) != 0, alive(layer))


def test_an_earlier_mask_is_kept() -> None:
    layer = nn.Linear(4, 1)
    layer.weight.data = torch.tensor([[0.5, -1.5, 2.0, 4.0]])
    mask_(layer, torch.tensor([[True, True, True, False]]))
    with surgery(nn.Sequential(layer), crate=-10) as operation:
        operation.operate()
    assert layer.weight.tolist() == [[0.5, -1.5, 2.0, 0.0]]


def test_weights_come_back(mlp: nn.Module, training: Data) -> None:
    found = targets(mlp, ["1", "3"])
    settings = Config.model_validate({"fit": RATE | {"epochs": 1}}).fit
    assert training.labels is not None
    with Surgery(found, crate=1.0, band=0.1, decay=0.0, steps=30, seed=0) as operation:
        fit(mlp, training.images, training.labels, settings, after_step=operation.after_step)
    assert operation.spliced > 0


@pytest.mark.slow
def test_beats_one_shot_magnitudes_at_equal_density(
    mlps: list[nn.Module], training: Data, testing: Data
) -> None:
    """The mean of three networks."""
    fitted = RATE | {"epochs": 8}
    plan = uniform(("dynamic_network_surgery", {"crate": 2.0, "fit": fitted}))
    found = []
    for mlp in mlps:
        operated = compress(mlp, plan, data=training)
        share = density(targets(operated, ["1", "3", "5"]))
        assert share < 0.12
        wanted = {"sparsity": 1 - share, "rounds": 1, "fit": fitted}
        pruned = compress(mlp, uniform(("magnitude_pruning", wanted)), data=training)
        found.append([accuracy(one, testing) for one in (mlp, operated, pruned)])
    before, surgery, magnitudes = torch.tensor(found).mean(0).tolist()
    print(f"float {before}, surgery {surgery}, magnitudes {magnitudes}")
    assert surgery >= magnitudes
    assert surgery > before - 0.01
