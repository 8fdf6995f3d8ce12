"""AlexNet's shape for 28x28 grey images, trained on Fashion-MNIST: more weights than it needs.

Five convolutions and three linear layers with ReLU, overlapping pooling and dropout, as in
Krizhevsky, Sutskever and Hinton, NIPS 2012, made narrow. 14,346,880 MACs, of which 92 % are in
convolutions, and 1,295,634 parameters, of which 87 % are in linear layers, so that weights, MACs
and energy each rank the layers in their own way. The weights, in half precision, score 92.50 %
top-1 on the 10,000 test images; `python -m models._train_fashion alexnet_fashion` reproduces them.
"""

from collections import OrderedDict

from torch import nn

from models._lenet import Crop
from models._recipe import Recipe

INPUT_SHAPE: tuple[int, int, int] = (1, 32, 32)
WEIGHTS = "alexnet_fashion.safetensors"
RECIPE = Recipe(epochs=16, peak_rate=0.05)


def build(*, classes: int = 10) -> nn.Sequential:
    """A fresh, untrained network in evaluation mode."""
    layers = OrderedDict[str, nn.Module](
        crop=Crop(),
        conv1=nn.Conv2d(1, 24, 5, padding=2),
        relu1=nn.ReLU(),
        pool1=nn.MaxPool2d(3, stride=2, padding=1),
        conv2=nn.Conv2d(24, 48, 5, padding=2),
        relu2=nn.ReLU(),
        pool2=nn.MaxPool2d(3, stride=2, padding=1),
        conv3=nn.Conv2d(48, 96, 3, padding=1),
        relu3=nn.ReLU(),
        conv4=nn.Conv2d(96, 72, 3, padding=1),
        relu4=nn.ReLU(),
        conv5=nn.Conv2d(72, 64, 3, padding=1),
        relu5=nn.ReLU(),
        pool5=nn.MaxPool2d(3, stride=2),
        flatten=nn.Flatten(),
        fc6=nn.Linear(64 * 3 * 3, 1024),
        relu6=nn.ReLU(),
        drop6=nn.Dropout(0.5),
        fc7=nn.Linear(1024, 512),
        relu7=nn.ReLU(),
        drop7=nn.Dropout(0.5),
        fc8=nn.Linear(512, classes),
    )
    return nn.Sequential(layers).eval()
