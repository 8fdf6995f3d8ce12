"""The ResNets of 6n + 2 layers for 32x32 images, with the parameter names of their usual weights.

He et al., "Deep Residual Learning for Image Recognition", arXiv:1512.03385, section 4.2: three
stages of n blocks with 16, 32 and 64 channels; where the shape changes, the shortcut leaves out
every other row and column and pads the channels with zeros (option A), so it has no weights.
"""

from torch import Tensor, nn

from models._resnet import BasicBlock, conv


class Subsample(nn.Module):
    """Every other row and column."""

    def forward(self, ifmap: Tensor) -> Tensor:
        return ifmap[:, :, ::2, ::2]


def padded(c_in: int, c_out: int, *, stride: int) -> nn.Sequential:
    """Identity where the shape is kept, else a stride of 2 and zeros around the channels."""
    if stride == 1 and c_in == c_out:
        return nn.Sequential()
    above = (c_out - c_in) // 2
    return nn.Sequential(Subsample(), nn.ZeroPad3d((0, 0, 0, 0, above, c_out - c_in - above)))


def stage(c_in: int, c_out: int, *, depth: int, stride: int) -> nn.Sequential:
    """`depth` blocks in a row, of which the first strides."""
    blocks = nn.Sequential(BasicBlock(c_in, c_out, stride=stride, shortcut=padded))
    for _ in range(depth - 1):
        blocks.append(BasicBlock(c_out, c_out, stride=1, shortcut=padded))
    return blocks


class CifarResNet(nn.Module):
    """Images N x channels x H x W -> logits N x classes; `depth` blocks in each stage."""

    def __init__(self, depth: int, *, channels: int, classes: int) -> None:
        super().__init__()
        self.conv1 = conv(channels, 16, kernel=3)
        self.bn1 = nn.BatchNorm2d(16)
        self.relu = nn.ReLU()
        self.layer1 = stage(16, 16, depth=depth, stride=1)
        self.layer2 = stage(16, 32, depth=depth, stride=2)
        self.layer3 = stage(32, 64, depth=depth, stride=2)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.linear = nn.Linear(64, classes)

    def forward(self, images: Tensor) -> Tensor:
        stem = self.relu(self.bn1(self.conv1(images)))
        features = self.layer3(self.layer2(self.layer1(stem)))
        logits: Tensor = self.linear(self.flatten(self.avgpool(features)))
        return logits
