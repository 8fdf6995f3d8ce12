"""LeNet-5 as Caffe ships it, trained on Fashion-MNIST.

The network of Caffe's examples/mnist, which Han et al., "Deep Compression", arXiv:1510.00149, table
3, and most of the pruning literature call LeNet-5; here with a ReLU after each convolution, too.
2,293,000 MACs and 431,080 parameters, of which 93 % are in the first linear layer. The weights, in
half precision, score 92.24 % top-1 on the 10,000 test images; `python -m models._train_fashion
lenet5_fashion` reproduces them.
"""

from collections import OrderedDict

from torch import nn

from models._lenet import Crop
from models._recipe import Recipe

INPUT_SHAPE: tuple[int, int, int] = (1, 32, 32)
WEIGHTS = "lenet5_fashion.safetensors"
RECIPE = Recipe(epochs=20, peak_rate=0.05)


def build(*, classes: int = 10) -> nn.Sequential:
    """A fresh, untrained network in evaluation mode."""
    layers = OrderedDict[str, nn.Module](
        crop=Crop(),
        conv1=nn.Conv2d(1, 20, 5),
        relu1=nn.ReLU(),
        pool1=nn.MaxPool2d(2),
        conv2=nn.Conv2d(20, 50, 5),
        relu2=nn.ReLU(),
        pool2=nn.MaxPool2d(2),
        flatten=nn.Flatten(),
        fc1=nn.Linear(50 * 4 * 4, 500),
        relu3=nn.ReLU(),
        fc2=nn.Linear(500, classes),
    )
    return nn.Sequential(layers).eval()
