"""LeNet-300-100: two hidden layers, far more weights than it needs, trained on Fashion-MNIST.

LeCun et al., "Gradient-Based Learning Applied to Document Recognition", Proceedings of the IEEE
1998, section III.C.4, on which Han et al., "Deep Compression", arXiv:1510.00149, table 2, pruned
first. 266,200 MACs and 266,610 parameters. The weights, in half precision, score 90.52 % top-1 on
the 10,000 test images; `python -m models._train_fashion lenet_300_100_fashion` reproduces them.
"""

from collections import OrderedDict

from torch import nn

from models._lenet import Crop
from models._recipe import Recipe

INPUT_SHAPE: tuple[int, int, int] = (1, 32, 32)
WEIGHTS = "lenet_300_100_fashion.safetensors"
RECIPE = Recipe(epochs=30, augment=False)


def build(*, classes: int = 10) -> nn.Sequential:
    """A fresh, untrained network in evaluation mode."""
    layers = OrderedDict[str, nn.Module](
        crop=Crop(),
        flatten=nn.Flatten(),
        fc1=nn.Linear(28 * 28, 300),
        relu1=nn.ReLU(),
        fc2=nn.Linear(300, 100),
        relu2=nn.ReLU(),
        fc3=nn.Linear(100, classes),
    )
    return nn.Sequential(layers).eval()
