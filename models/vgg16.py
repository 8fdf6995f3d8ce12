"""VGG-16, 224x224: 15.5 billion MACs, 138 million parameters.

Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition",
arXiv:1409.1556, configuration D of tables 1 and 2. Exactly 15,470,264,320 MACs, of which
15,346,630,656 in convolutions, and 138,357,544 parameters. Parameters are named as in
torchvision.
"""

from torch import Tensor, nn

INPUT_SHAPE: tuple[int, int, int] = (3, 224, 224)

# Table 1, column D: the filters of each 3x3 convolution; each stage ends in a 2x2 max pooling.
STAGES: tuple[tuple[int, ...], ...] = (
    (64, 64),
    (128, 128),
    (256, 256, 256),
    (512, 512, 512),
    (512, 512, 512),
)


class VGG16(nn.Module):
    """Images N x 3 x 224 x 224 -> logits N x classes."""

    def __init__(self, *, classes: int) -> None:
        super().__init__()
        c_in = 3
        self.features = nn.Sequential()
        for stage in STAGES:
            for c_out in stage:
                self.features.append(nn.Conv2d(c_in, c_out, 3, padding=1))
                self.features.append(nn.ReLU())
                c_in = c_out
            self.features.append(nn.MaxPool2d(2))
        self.flatten = nn.Flatten()
        self.classifier = nn.Sequential(
            nn.Linear(512 * 7 * 7, 4096),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(4096, 4096),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(4096, classes),
        )

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.flatten(self.features(images)))
        return logits


def build(*, classes: int = 1000) -> VGG16:
    """A fresh, untrained network in evaluation mode."""
    return VGG16(classes=classes).eval()
