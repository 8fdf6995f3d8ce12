"""Small networks that between them use every operator fixed point knows."""

import copy

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from compressors import fixed_point
from compressors._data import Data
from compressors._layers import weighted_layers


def fixed(model: nn.Module, config: fixed_point.Config, *, calibration: Tensor) -> fx.GraphModule:
    """A copy of `model`, all of it in fixed point."""
    layers, data = list(weighted_layers(model)), Data(images=calibration)
    return fixed_point.compress(copy.deepcopy(model), layers, config, data)


def randomise(model: nn.Module, *, seed: int) -> nn.Module:
    """Random weights and batch-norm statistics, in evaluation mode."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point():
            drawn = torch.randn(tensor.shape, generator=generator)
            tensor.copy_(drawn.abs() + 0.5 if name.endswith("running_var") else drawn * 0.4)
    return model.eval()


class Residual(nn.Module):
    """Convolution, depthwise, residual add, global average pool and linear; ReLU fused."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(2, 8, (3, 2), padding=(1, 0)), nn.ReLU())
        self.depthwise = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.ReLU6())
        self.project = nn.Conv2d(8, 8, 1)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(8, 5)

    def forward(self, images: Tensor) -> Tensor:
        stem = self.stem(images)
        features = stem + self.project(self.depthwise(stem))
        logits: Tensor = self.classifier(self.pool(features).flatten(1))
        return logits


class Everything(nn.Module):
    """Branches, concatenation, gating, every pool, views, slices and a free batch-norm."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=(2, 1), padding=1, bias=False), nn.BatchNorm2d(8)
        )
        self.wide = nn.Conv2d(8, 6, (1, 3), padding=(0, 1), dilation=(1, 1))
        self.tall = nn.Conv2d(4, 4, (3, 1), padding=(2, 0), dilation=(2, 1), groups=2)
        self.norm = nn.BatchNorm2d(10)
        self.average = nn.AvgPool2d((3, 2), stride=2, padding=1, count_include_pad=False)
        self.maximum = nn.MaxPool2d(2)
        self.gate = nn.Linear(10, 10)
        self.classifier = nn.Linear(10 * 2, 4)

    def forward(self, images: Tensor) -> Tensor:
        stem = functional.relu6(self.stem(images))
        joined = torch.cat([self.wide(stem).relu(), self.tall(stem.chunk(2, dim=1)[0])], dim=1)
        normed = self.norm(joined).relu()
        pooled = self.maximum(self.average(normed))
        gated = pooled * self.gate(pooled.mean((2, 3))).relu()[:, :, None, None]
        bins = functional.adaptive_avg_pool2d(gated + pooled, (2, 1))
        logits: Tensor = self.classifier(bins.view(bins.size(0), -1))
        return logits
