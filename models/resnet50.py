"""ResNet-50, 224x224: 4.1 billion MACs, 25.6 million parameters.

He et al., "Deep Residual Learning for Image Recognition", arXiv:1512.03385, table 1, in the
version that strides in the 3x3 convolution ("v1.5": the paper's, 3.8 billion, strides in the
first 1x1). Exactly 4,089,184,256 MACs and 25,557,032 parameters. Parameters are named as in
torchvision.
"""

from models._resnet import Bottleneck, ResNet

INPUT_SHAPE: tuple[int, int, int] = (3, 224, 224)


def build(*, classes: int = 1000) -> ResNet:
    """A fresh, untrained network in evaluation mode."""
    return ResNet(Bottleneck, (3, 4, 6, 3), classes=classes).eval()
