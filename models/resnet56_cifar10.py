"""ResNet-56 for CIFAR-10: 125 million MACs, 0.85 million parameters.

He et al., "Deep Residual Learning for Image Recognition", arXiv:1512.03385, section 4.2 and table
6. Exactly 125,485,696 MACs and 853,018 parameters, named as in the usual trained weights, which are
given as a file and score 93.6 % top-1 on CIFAR-10's test images by their authors' account.
"""

from models._cifar_resnet import CifarResNet

INPUT_SHAPE: tuple[int, int, int] = (3, 32, 32)


def build(*, classes: int = 10) -> CifarResNet:
    """A fresh, untrained network in evaluation mode."""
    return CifarResNet(9, channels=3, classes=classes).eval()
