"""Guo, Yao and Chen, NIPS 2016, arXiv:1608.04493."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import compressors.dynamic_network_surgery as method
from compressors._compress import compress
from compressors._data import Data
from compressors._fit import Fit, Hook, fit
from compressors._plan import uniform
from compressors.dynamic_network_surgery import Config
from compressors.pruning.surgery import Surgery
from compressors.pruning.targets import Target, density, targets
from compressors.weights._form import latent_of
from compressors.weights.masked import mask_
from tests.methods.conftest import accuracy

METHOD = "dynamic_network_surgery"
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


def test_weights_on_a_threshold() -> None:
    """Eq. 3: what has a_k = 1 is not cut, what has b_k = 3 is spliced, anything less is not."""
    layer = nn.Linear(4, 1)
    layer.weight.data = torch.tensor([[1.0, -3.0, -1.0, 3.0]])
    with surgery(nn.Sequential(layer), band=0.5) as operation:
        operation.operate()
        assert alive(layer).all()
        latent_of(layer).data = torch.tensor([[0.99, -0.99, 0.0, 1.0]])
        operation.operate()
        assert alive(layer).tolist() == [[False, False, False, True]]
        latent_of(layer).data = torch.tensor([[3.0, -3.0, 2.99, 1.0]])
        operation.operate()
        assert alive(layer).tolist() == [[True, True, False, True]]


def test_thresholds_are_of_the_magnitudes_that_are_left() -> None:
    """Of mean 4 and deviation 2: below 6 goes, whatever ten weights were that are masked."""
    layer = nn.Linear(16, 1)
    left = torch.tensor([[1.0, -3.0, 3.0, 4.0, -6.0, 7.0]])
    layer.weight.data = torch.cat([left, torch.full((1, 10), 9.0)], 1)
    mask_(layer, torch.arange(16)[None] < 6)
    with surgery(nn.Sequential(layer), crate=1.0, band=0.0) as operation:
        operation.operate()
    assert layer.weight[0, :6].tolist() == [0, 0, 0, 0, -6, 7]
    assert not layer.weight[0, 6:].any()


def test_training_is_the_published_loop() -> None:
    """Alg. 1 by numpy on a softmax layer: the loss of W T, its gradient moves all of W, and T
    follows the W that has moved, for the first half; thresholds are those of the first W.
    """
    draw = np.random.default_rng(0)
    w, x = draw.normal(size=(3, 6)), draw.normal(size=(24, 6))
    labels = (x @ draw.normal(size=(6, 3))).argmax(1)
    model = nn.Sequential(nn.Linear(6, 3, bias=False))
    model[0].weight.data = torch.tensor(w).float()
    settings = {"epochs": 12, "batch": 24, "learning_rate": 1.0, "momentum": 0, "weight_decay": 0}
    config = {"crate": 0.2, "band": 0.2, "decay": 0, "surgery": 0.5}
    plan = uniform((METHOD, config | {"fit": settings | {"schedule": "constant"}}))
    data = Data(images=torch.tensor(x).float(), labels=torch.tensor(labels))
    layer = compress(model, plan, data=data).get_submodule("0")

    middle, t, came_back = np.abs(w).mean() + 0.2 * np.abs(w).std(), np.ones_like(w), 0
    for step in range(12):
        odds = np.exp(x @ (w * t).T)
        shares = odds / odds.sum(1, keepdims=True)
        w = w - 1.0 * (shares - np.eye(3)[labels]).T @ x / 24
        if step < 6:
            before = t
            t = np.where(np.abs(w) < 0.8 * middle, 0, np.where(np.abs(w) >= 1.2 * middle, 1, t))
            came_back += int((t > before).sum())
    assert came_back > 0
    assert 0 < t.sum() < t.size
    assert np.array_equal(alive(layer).numpy(), t)
    assert np.allclose(latent_of(layer).detach().numpy(), w, atol=1e-5)


def test_surgery_grows_rarer_and_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sec. 3.3: with probability (1 + decay step)^-1, here 1/4, give or take four deviations."""
    operation = surgery(nn.Sequential(nn.Linear(4, 1)))
    operation.steps = 301
    operations: list[int] = []
    for step in (0, 300, 301):
        monkeypatch.setattr(operation, "operate", lambda step=step: operations.append(step))
        for _ in range(2000):
            operation.after_step(step)
    assert operations.count(0) == 2000
    assert abs(operations.count(300) - 500) < 4 * (2000 * 0.25 * 0.75) ** 0.5
    assert operations.count(301) == 0


@pytest.mark.parametrize("apart", [True, False])
def test_convolutions_come_first(monkeypatch: pytest.MonkeyPatch, apart: bool) -> None:
    """And linear layers rest meanwhile; then the other way round."""
    convolutions = (nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.Flatten())
    network = nn.Sequential(*convolutions, nn.Linear(16, 5))
    data = Data(images=torch.randn(9, 1, 6, 6), labels=torch.arange(9) % 5)
    seen: list[list[bool]] = []

    def watched(
        model: nn.Module, images: Tensor, labels: Tensor, settings: Fit, *, after_step: Hook
    ) -> None:
        after_step(0)
        layers = [model.get_submodule(path) for path in ("0", "2", "4")]
        seen.append([latent_of(layer).requires_grad for layer in layers])
        seen.append([not alive(layer).all() for layer in layers])

    monkeypatch.setattr(f"{method.__name__}.fit", watched)
    compress(network, uniform((METHOD, {"apart": apart})), data=data)
    first, second, every = [True, True, False], [False, False, True], [True] * 3
    assert seen == ([first, first, second, every] if apart else [every, every])


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
