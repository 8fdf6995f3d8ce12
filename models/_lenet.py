"""What the LeNets share: they were made for images of 28x28 pixels."""

from torch import Tensor, nn

BORDER = 2


class Crop(nn.Module):
    """The 28x28 pixels inside the border of 32x32 images."""

    def forward(self, images: Tensor) -> Tensor:
        return images[:, :, BORDER:-BORDER, BORDER:-BORDER]
