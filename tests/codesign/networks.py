"""Small networks with all that ties layers together, data for them, and costs that are formulas."""

import torch
from torch import Tensor, nn

from compressors import Data
from compressors.codesign import NONE, Cost, filters, fixed_point
from hwsim.workload import Layer

CANDIDATES = (
    NONE,
    fixed_point(8, 8),
    fixed_point(4, 6),
    filters(0.5),
    fixed_point(8, 6).after(filters(0.5)),
    fixed_point(16, 16),
)


class Tied(nn.Module):
    """A residual sum, a depthwise convolution and a concatenation, on maps that are not square."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(2, 8, 3, padding=1)
        self.block = nn.Conv2d(8, 8, (3, 1), padding=(1, 0))
        self.deep = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.left = nn.Conv2d(8, 4, 1)
        self.right = nn.Conv2d(8, 6, 1)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(10, 5)

    def forward(self, images: Tensor) -> Tensor:
        first = torch.relu(self.stem(images))
        total = torch.relu(first + self.block(first))
        deep = torch.relu(self.deep(total))
        both = torch.cat([self.left(deep), self.right(deep)], 1)
        logits: Tensor = self.head(self.pool(torch.relu(both)).flatten(1))
        return logits


def tied() -> nn.Module:
    """The network with weights drawn from a seed."""
    torch.manual_seed(0)
    return lively(Tied())


def chain() -> nn.Module:
    """A convolution and two linear layers."""
    torch.manual_seed(0)
    layers = (nn.Conv2d(2, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten())
    return lively(nn.Sequential(*layers, nn.Linear(4 * 2 * 3, 8), nn.ReLU(), nn.Linear(8, 5)))


def lively(model: nn.Module) -> nn.Module:
    """The model without biases, so that its answers depend on the images."""
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            nn.init.zeros_(parameter)
        else:
            nn.init.kaiming_normal_(parameter)
    return model.eval()


def images(count: int = 24, *, seed: int = 0) -> Tensor:
    """Noise, N x 2 x 6 x 9."""
    return torch.randn(count, 2, 6, 9, generator=torch.Generator().manual_seed(seed))


def data(model: nn.Module) -> Data:
    """Noise with the labels that the network gives it."""
    with torch.no_grad():
        return Data(images=images(), labels=model(images()).argmax(1))


class Fidelity:
    """The share of other noise on which a network says what the original says."""

    fingerprint = "fidelity"

    def __init__(self, model: nn.Module, count: int = 200) -> None:
        self.images, self.calls = images(count, seed=1), 0
        with torch.no_grad():
            self.labels = model(self.images).argmax(1)

    def __call__(self, model: nn.Module) -> float:
        self.calls += 1
        with torch.no_grad():
            return float((model(self.images).argmax(1) == self.labels).float().mean())


def formula(layer: Layer) -> Cost:
    """Bit operations and bits moved; no zeros count."""
    bits = sum(layer.words(name) * layer.tensor(name).bits for name in layer.tensors)
    operations = layer.operations * layer.ifmap.bits * (layer.weight.bits if layer.weighted else 1)
    return Cost(
        energy_pj=operations / 50 + bits + layer.psum.bits,
        latency_ms=max(operations / 64, float(bits)) / 1e3,
    )
