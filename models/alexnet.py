"""AlexNet with its grouped convolutions, 3x227x227: 724 million MACs, 61 million parameters.

Krizhevsky, Sutskever and Hinton, "ImageNet Classification with Deep Convolutional Neural
Networks", NIPS 2012, as in Caffe's bvlc_alexnet: one tower of 96-256-384-384-256 filters, groups
of 2 in conv2, conv4 and conv5, normalisation before pooling. This is the network that the Eyeriss
papers measure (Chen et al., ISCA 2016, table II). Exactly 724,406,816 MACs, of which 665,784,864
in convolutions, and 60,965,224 parameters.
"""

from torch import Tensor, nn

INPUT_SHAPE: tuple[int, int, int] = (3, 227, 227)


def local_norm() -> nn.LocalResponseNorm:
    """Normalisation across 5 channels, with Caffe's constants."""
    return nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1.0)


class AlexNet(nn.Module):
    """Images N x 3 x 227 x 227 -> logits N x classes."""

    def __init__(self, *, classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 96, 11, stride=4)
        self.relu1 = nn.ReLU()
        self.norm1 = local_norm()
        self.pool1 = nn.MaxPool2d(3, stride=2)
        self.conv2 = nn.Conv2d(96, 256, 5, padding=2, groups=2)
        self.relu2 = nn.ReLU()
        self.norm2 = local_norm()
        self.pool2 = nn.MaxPool2d(3, stride=2)
        self.conv3 = nn.Conv2d(256, 384, 3, padding=1)
        self.relu3 = nn.ReLU()
        self.conv4 = nn.Conv2d(384, 384, 3, padding=1, groups=2)
        self.relu4 = nn.ReLU()
        self.conv5 = nn.Conv2d(384, 256, 3, padding=1, groups=2)
        self.relu5 = nn.ReLU()
        self.pool5 = nn.MaxPool2d(3, stride=2)
        self.flatten = nn.Flatten()
        self.fc6 = nn.Linear(256 * 6 * 6, 4096)
        self.relu6 = nn.ReLU()
        self.drop6 = nn.Dropout(0.5)
        self.fc7 = nn.Linear(4096, 4096)
        self.relu7 = nn.ReLU()
        self.drop7 = nn.Dropout(0.5)
        self.fc8 = nn.Linear(4096, classes)

    def forward(self, images: Tensor) -> Tensor:
        first = self.pool1(self.norm1(self.relu1(self.conv1(images))))
        second = self.pool2(self.norm2(self.relu2(self.conv2(first))))
        third = self.relu3(self.conv3(second))
        fourth = self.relu4(self.conv4(third))
        fifth = self.flatten(self.pool5(self.relu5(self.conv5(fourth))))
        sixth = self.drop6(self.relu6(self.fc6(fifth)))
        seventh = self.drop7(self.relu7(self.fc7(sixth)))
        logits: Tensor = self.fc8(seventh)
        return logits


def build(*, classes: int = 1000) -> AlexNet:
    """A fresh, untrained network in evaluation mode."""
    return AlexNet(classes=classes).eval()
