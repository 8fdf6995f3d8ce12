"""ResNet-18, 224x224: 1.8 billion MACs, 11.7 million parameters.

He et al., "Deep Residual Learning for Image Recognition", arXiv:1512.03385, table 1. Exactly
1,814,073,344 MACs and 11,689,512 parameters. Parameters are named as in torchvision.
"""

from models._resnet import BasicBlock, ResNet

INPUT_SHAPE: tuple[int, int, int] = (3, 224, 224)


def build(*, classes: int = 1000) -> ResNet:
    """A fresh, untrained network in evaluation mode."""
    return ResNet(BasicBlock, (2, 2, 2, 2), classes=classes).eval()
