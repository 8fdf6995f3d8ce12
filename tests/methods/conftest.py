"""Real images small enough to train on within a test, and small networks trained on them."""

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from compressors._data import Data
from compressors._fit import Fit, fit
from data import fashion_mnist

TRAINING, TESTING = 6000, 4000


def accuracy(model: nn.Module, data: Data) -> float:
    """Top-1 in 0..1."""
    assert data.labels is not None
    with torch.inference_mode():
        return float((model(data.images).argmax(1) == data.labels).float().mean())


def cross_entropy(model: nn.Module, data: Data) -> float:
    """The mean loss."""
    assert data.labels is not None
    with torch.inference_mode():
        return float(functional.cross_entropy(model(data.images), data.labels))


def trained(model: nn.Module, data: Data, *, epochs: float, rate: float) -> nn.Module:
    """`model` after so many epochs."""
    assert data.labels is not None
    fit(model, data.images, data.labels, Fit(epochs=epochs, learning_rate=rate))
    return model


@pytest.fixture(scope="session")
def images() -> tuple[Tensor, Tensor]:
    """10,000 pictures of clothes, float32 N x 1 x 16 x 16, and their labels."""
    found = fashion_mnist.load(limit=TRAINING + TESTING)
    return functional.avg_pool2d(found.images, 2), found.labels


@pytest.fixture(scope="session")
def training(images: tuple[Tensor, Tensor]) -> Data:
    """What a network may be trained and calibrated on."""
    return Data(images=images[0][:TRAINING], labels=images[1][:TRAINING])


@pytest.fixture(scope="session")
def testing(images: tuple[Tensor, Tensor]) -> Data:
    """What it is tested on."""
    return Data(images=images[0][TRAINING:], labels=images[1][TRAINING:])


def perceptron(training: Data, seed: int) -> nn.Module:
    """256-100-50-10 with ReLU, trained."""
    torch.manual_seed(seed)
    layers = (nn.Linear(256, 100), nn.ReLU(), nn.Linear(100, 50), nn.ReLU(), nn.Linear(50, 10))
    return trained(nn.Sequential(nn.Flatten(), *layers), training, epochs=6, rate=0.05)


@pytest.fixture(scope="session")
def trained_mlp(training: Data) -> nn.Module:
    return perceptron(training, seed=0)


@pytest.fixture(scope="session")
def mlps(trained_mlp: nn.Module, training: Data) -> list[nn.Module]:
    """`mlp` and two of other seeds, for means: to be copied, not changed."""
    return [trained_mlp, *(perceptron(training, seed) for seed in (1, 2))]


def convolutional(training: Data, seed: int) -> nn.Module:
    """Three convolutions, the first two with batch-norm, and a linear layer, trained."""
    torch.manual_seed(seed)
    first = (nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
    second = (nn.Conv2d(8, 16, 3, stride=2, bias=False), nn.BatchNorm2d(16), nn.ReLU())
    third = (nn.Conv2d(16, 16, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10))
    return trained(nn.Sequential(*first, *second, *third), training, epochs=4, rate=0.05)


@pytest.fixture(scope="session")
def trained_cnn(training: Data) -> nn.Module:
    return convolutional(training, seed=0)


@pytest.fixture(scope="session")
def cnns(trained_cnn: nn.Module, training: Data) -> list[nn.Module]:
    """`cnn` and two of other seeds, for means: to be copied, not changed."""
    return [trained_cnn, *(convolutional(training, seed) for seed in (1, 2))]


@pytest.fixture
def mlp(trained_mlp: nn.Module) -> nn.Module:
    """A network of `perceptron`; a copy of one's own."""
    return copy.deepcopy(trained_mlp)


@pytest.fixture
def cnn(trained_cnn: nn.Module) -> nn.Module:
    """A network of `convolutional`; a copy of one's own."""
    return copy.deepcopy(trained_cnn)
