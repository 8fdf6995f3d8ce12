"""The blocks ResNets share, with torchvision's parameter names.

He et al., "Deep Residual Learning for Image Recognition", arXiv:1512.03385, figure 5 and table 1.
"""

from collections.abc import Callable

from torch import Tensor, nn


def conv(c_in: int, c_out: int, *, kernel: int, stride: int = 1) -> nn.Conv2d:
    """Convolution without bias, with "same" padding for odd kernels."""
    return nn.Conv2d(c_in, c_out, kernel, stride, padding=kernel // 2, bias=False)


def shortcut(c_in: int, c_out: int, *, stride: int) -> nn.Sequential:
    """Identity where the shape is kept, else a 1x1 projection (option B)."""
    if stride == 1 and c_in == c_out:
        return nn.Sequential()
    return nn.Sequential(conv(c_in, c_out, kernel=1, stride=stride), nn.BatchNorm2d(c_out))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut; `shortcut` makes it, from option B or another."""

    expansion = 1

    def __init__(
        self,
        c_in: int,
        channels: int,
        *,
        stride: int,
        shortcut: Callable[..., nn.Sequential] = shortcut,
    ) -> None:
        super().__init__()
        self.conv1 = conv(c_in, channels, kernel=3, stride=stride)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu1 = nn.ReLU()
        self.conv2 = conv(channels, channels, kernel=3)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample = shortcut(c_in, channels, stride=stride)
        self.relu2 = nn.ReLU()

    def forward(self, ifmap: Tensor) -> Tensor:
        hidden = self.relu1(self.bn1(self.conv1(ifmap)))
        ofmap: Tensor = self.relu2(self.bn2(self.conv2(hidden)) + self.downsample(ifmap))
        return ofmap


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 convolutions and a shortcut; the 3x3 strides (torchvision's v1.5)."""

    expansion = 4

    def __init__(self, c_in: int, channels: int, *, stride: int) -> None:
        super().__init__()
        c_out = channels * self.expansion
        self.conv1 = conv(c_in, channels, kernel=1)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu1 = nn.ReLU()
        self.conv2 = conv(channels, channels, kernel=3, stride=stride)
        self.bn2 = nn.BatchNorm2d(channels)
        self.relu2 = nn.ReLU()
        self.conv3 = conv(channels, c_out, kernel=1)
        self.bn3 = nn.BatchNorm2d(c_out)
        self.downsample = shortcut(c_in, c_out, stride=stride)
        self.relu3 = nn.ReLU()

    def forward(self, ifmap: Tensor) -> Tensor:
        first = self.relu1(self.bn1(self.conv1(ifmap)))
        second = self.relu2(self.bn2(self.conv2(first)))
        ofmap: Tensor = self.relu3(self.bn3(self.conv3(second)) + self.downsample(ifmap))
        return ofmap


Block = type[BasicBlock] | type[Bottleneck]


def stage(block: Block, c_in: int, channels: int, *, depth: int, stride: int) -> nn.Sequential:
    """`depth` blocks in a row, of which the first strides."""
    c_out = channels * block.expansion
    blocks = nn.Sequential(block(c_in, channels, stride=stride))
    for _ in range(depth - 1):
        blocks.append(block(c_out, channels, stride=1))
    return blocks


class ResNet(nn.Module):
    """Images N x 3 x H x W -> logits N x classes; `depths` is the number of blocks per stage."""

    def __init__(self, block: Block, depths: tuple[int, int, int, int], *, classes: int) -> None:
        super().__init__()
        widen = block.expansion
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = stage(block, 64, 64, depth=depths[0], stride=1)
        self.layer2 = stage(block, 64 * widen, 128, depth=depths[1], stride=2)
        self.layer3 = stage(block, 128 * widen, 256, depth=depths[2], stride=2)
        self.layer4 = stage(block, 256 * widen, 512, depth=depths[3], stride=2)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(512 * widen, classes)

    def forward(self, images: Tensor) -> Tensor:
        stem = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        features = self.layer4(self.layer3(self.layer2(self.layer1(stem))))
        logits: Tensor = self.fc(self.flatten(self.avgpool(features)))
        return logits
