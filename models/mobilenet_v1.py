"""MobileNetV1, width 1.0 at 224x224: 569 million MACs, 4.2 million parameters.

Howard et al., "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision
Applications", arXiv:1704.04861, table 1 (body) and table 8 (counts). Exactly 568,740,352 MACs
and 4,231,976 parameters. The paper writes ReLU; its authors' released networks use ReLU6, and so
does this one, because a bounded activation suits fixed point.
"""

from torch import Tensor, nn

INPUT_SHAPE: tuple[int, int, int] = (3, 224, 224)

# Table 1: output channels at width 1.0 and stride of each depthwise separable block.
BLOCKS: tuple[tuple[int, int], ...] = (
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    *((512, 1),) * 5,
    (1024, 2),
    (1024, 1),
)


class ConvNormAct(nn.Sequential):
    """Convolution without bias, batch normalisation, ReLU6; "same" padding for odd kernels.

    Epsilon 1e-3, as the authors released it: it bounds the folded weights of near-dead channels.
    """

    def __init__(
        self, c_in: int, c_out: int, *, kernel: int, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            c_in, c_out, kernel, stride, padding=kernel // 2, groups=groups, bias=False
        )
        self.norm = nn.BatchNorm2d(c_out, eps=1e-3)
        self.act = nn.ReLU6()


class Separable(nn.Sequential):
    """A 3x3 depthwise convolution, then a 1x1 convolution that mixes the channels."""

    def __init__(self, c_in: int, c_out: int, *, stride: int) -> None:
        super().__init__()
        self.depthwise = ConvNormAct(c_in, c_in, kernel=3, stride=stride, groups=c_in)
        self.pointwise = ConvNormAct(c_in, c_out, kernel=1)


class MobileNetV1(nn.Module):
    """Images N x channels x H x W -> logits N x classes."""

    def __init__(self, *, width: float, channels: int, classes: int, stem_stride: int) -> None:
        super().__init__()
        c_in = round(32 * width)
        self.stem = ConvNormAct(channels, c_in, kernel=3, stride=stem_stride)
        self.blocks = nn.Sequential()
        for c_full, stride in BLOCKS:
            c_out = round(c_full * width)
            self.blocks.append(Separable(c_in, c_out, stride=stride))
            c_in = c_out
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.classifier = nn.Linear(c_in, classes)

    def forward(self, images: Tensor) -> Tensor:
        features = self.blocks(self.stem(images))
        logits: Tensor = self.classifier(self.flatten(self.pool(features)))
        return logits


def build(
    *, width: float = 1.0, channels: int = 3, classes: int = 1000, stem_stride: int = 2
) -> MobileNetV1:
    """A fresh network in evaluation mode; `width` scales every channel count."""
    net = MobileNetV1(width=width, channels=channels, classes=classes, stem_stride=stem_stride)
    return net.eval()
