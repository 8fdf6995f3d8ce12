"""MobileNetV1, width 0.5, for 32x32 grey images in 10 classes, trained on Fashion-MNIST.

The body of Howard et al., arXiv:1704.04861, table 1; the stem has stride 1 instead of 2, since
the images are 7 times smaller than ImageNet's. 11,872,256 MACs and 823,434 parameters. The
weights, in half precision, score 94.10 % top-1 on the 10,000 test images; `python -m
models._train_fashion mobilenet_v1_fashion` reproduces them.
"""

from models._recipe import Recipe
from models.mobilenet_v1 import MobileNetV1
from models.mobilenet_v1 import build as build_mobilenet_v1

INPUT_SHAPE: tuple[int, int, int] = (1, 32, 32)
WEIGHTS = "mobilenet_v1_fashion.safetensors"
# Decay acts on depthwise and batch-norm weights too: it keeps the folded ranges narrow.
RECIPE = Recipe(epochs=25, threads=2)


def build(*, width: float = 0.5, classes: int = 10) -> MobileNetV1:
    """A fresh, untrained network in evaluation mode."""
    return build_mobilenet_v1(width=width, channels=1, classes=classes, stem_stride=1)
