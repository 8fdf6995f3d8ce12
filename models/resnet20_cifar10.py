"""ResNet-20 for CIFAR-10: 41 million MACs, 0.27 million parameters.

He et al., "Deep Residual Learning for Image Recognition", arXiv:1512.03385, section 4.2 and table
6. Exactly 40,551,040 MACs and 269,722 parameters, named as in the usual trained weights, which are
given as a file and score 91.7 % top-1 on CIFAR-10's test images by their authors' account.
"""

from models._cifar_resnet import CifarResNet

INPUT_SHAPE: tuple[int, int, int] = (3, 32, 32)


def build(*, classes: int = 10) -> CifarResNet:
    """A fresh, untrained network in evaluation mode."""
    return CifarResNet(3, channels=3, classes=classes).eval()
